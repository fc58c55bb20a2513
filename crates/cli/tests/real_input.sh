#!/bin/sh
# Counts the words of every file under /usr/share/doc with `longshore worker --exec`: once
# undisturbed, and once with failing attempts, a worker killed half-way and a second one beside it.
# Every job and every trace is checked; see cli/real_input.rs. Give a number for fewer files.
set -eu
cd "$(dirname "$0")/.."
LONGSHORE_REAL_INPUT="${1:-all}" exec cargo test --locked --test cli real_input -- --nocapture --test-threads 1
