#!/bin/bash
# A private PostgreSQL on loopback, without durability: for this example and its test alone.
#   pg.sh start DIR PORT   makes the folder DIR and starts a server in it; returns when it answers
#   pg.sh stop DIR         ends the server at once and removes DIR
# Needs Debian's postgresql. PostgreSQL refuses root, so as root it runs as nobody.
set -euo pipefail
dir=$(realpath -m "${2:?DIR}")
bin=$(dirname "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)")
as=() own=()
if [ "$(id -u)" = 0 ]; then
  group=$(id -gn nobody)
  as=(setpriv --reuid=nobody "--regid=$group" --clear-groups) own=(-o nobody -g "$group")
fi
case ${1:?start or stop} in
start)
  install -d -m 700 "${own[@]}" "$dir"
  cd /
  "${as[@]}" "$bin/initdb" -D "$dir" -U postgres -A trust --no-sync --locale=C -E UTF8 >/dev/null
  "${as[@]}" "$bin/pg_ctl" -D "$dir" -w -t 30 -l "$dir/server.log" start -o \
    "-p ${3:?PORT} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" >/dev/null ||
    { tail -n 5 "$dir/server.log" >&2; exit 1; } ;;
stop)
  [ -f "$dir/PG_VERSION" ] || { echo "$dir is no data folder" >&2; exit 1; }
  cd /
  "${as[@]}" "$bin/pg_ctl" -D "$dir" -m immediate -w stop >/dev/null || true
  rm -rf "$dir" ;;
*) echo "start or stop" >&2; exit 1 ;;
esac
