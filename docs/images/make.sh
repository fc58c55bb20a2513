#!/usr/bin/env bash
# Makes the pictures in this folder from the real program, on the store of a fresh demo:
#   docs/images/make.sh [LONGSHORE] [FOLDER]      LONGSHORE: the program; FOLDER: where they go, here if not said
# ALL=1 makes every screen at every size, to look at; else only what the documentation shows.
# Needs: tmux, chromium, node, fonts-dejavu-core; npm install @xterm/xterm@6.0.0 playwright-core@1.65.1, with that
# node_modules folder named in NODE_PATH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
longshore=$(command -v "${1:-longshore}")
longshore=$(realpath "$longshore")
out=$(realpath "${2:-$here}")
tmp=$(mktemp -d)
# Nothing of this machine's own settings, store or traces is looked at, and no picture shows a path of it but this
# one, which is everybody's: spans say where their store is.
shop=/tmp/shop
mkdir "$shop"
export XDG_DATA_HOME="$tmp/data" XDG_CONFIG_HOME="$tmp/config" LONGSHORE_STORE=sqlite:shop.db COLORTERM=truecolor
unset NO_COLOR COLORFGBG
t() { tmux -S "$tmp/socket" -f "$tmp/conf" "$@"; }
trap 't kill-server 2>/dev/null || true; rm -rf "$tmp" "$shop"' EXIT
printf 'set -g %s\n' 'status off' 'escape-time 0' 'default-terminal tmux-256color' 'remain-on-exit on' >"$tmp/conf"
cd "$shop"
"$longshore" demo --folder "$shop" >"$tmp/demo.txt" 2>&1 || { cat "$tmp/demo.txt" >&2; exit 1; }

# shot NAME COLUMNS ROWS KEY...
shot() {
  local name=$1 columns=$2 rows=$3
  shift 3
  t new -d -x "$columns" -y "$rows" -- "$longshore" tui --theme dark
  sleep "${WAIT:-2}"
  for key in "$@"; do
    t send-keys "$key"
    sleep 0.3
  done
  sleep "${WAIT:-2}"
  t capture-pane -e -p -N >"$tmp/screen"
  t kill-server
  # A small font where there are many columns, so that the file stays small.
  node "$here/shot.js" "$tmp/screen" "$columns" "$rows" "$out/$name-${columns}x$rows.png" $((columns > 100 ? 12 : 15))
}

sizes='180:50 80:24'
[ -z "${ALL:-}" ] || sizes='180:50 120:40 80:24 40:20'
for size in $sizes; do
  columns=${size%:*} rows=${size#*:}
  shot waterfall "$columns" "$rows" e Enter
  shot jobs "$columns" "$rows" 2
  [ -n "${ALL:-}" ] || continue
  shot traces "$columns" "$rows"
  shot span "$columns" "$rows" e Enter Enter
  shot job "$columns" "$rows" 2 s Enter
  shot queues "$columns" "$rows" 3 Enter
  shot workers "$columns" "$rows" 4
  shot schedules "$columns" "$rows" 5
  shot search "$columns" "$rows" / q u e
  shot diff "$columns" "$rows" Space j j d
  shot help "$columns" "$rows" '?'
done
