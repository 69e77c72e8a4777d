#!/bin/sh
# Runs the C unit tests in BUILD/unit and the specs in tests/spec against BUILD/tidemill; the last line sums them up.
#
#   tests/run.sh BUILD
#
# A test program that ends badly without having counted a failure counts as one, so that a crash is never "0 failed".
# Specs run on LuaJIT, as the host does; they find the program in TIDEMILL_BIN. Environment: SPEC, a pattern of spec
# files (Lua pattern, default _spec); SPEC_NOT, one of files to leave out; UNIT, a shell pattern of unit tests (default *).
set -u
build=${1:-build}
logs=$build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0

add() { passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3)); }


unit_run() {
  name=$(basename "$1") log=$logs/$(basename "$1").log
  timeout 300 "$1" >"$log" 2>&1
  code=$?
  line=$(tail -n 1 "$log")
  got=$(echo "$line" | sed -n 's/.*[^0-9]\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
  if [ -z "$got" ]; then got="0 1 0"; fi
  # shellcheck disable=SC2086  # three numbers
  set -- $got
  if [ "$code" -ne 0 ] && [ "$2" -eq 0 ]; then set -- "$1" 1 "$3"; fi
  [ "$2" -eq 0 ] || tail -n 40 "$log"
  if [ "$code" -ne 0 ]; then echo "$name: exit code $code (log: $log)"; else echo "$line"; fi
  add "$1" "$2" "$3"
}

spec_run() {
  log=$logs/spec.log
  # LeakSanitizer cannot see into LuaJIT's own memory, where the host's objects are held: off for the program itself
  ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" TIDEMILL_BIN=$(cd "$build" && pwd)/tidemill LUA_PATH="lua/?.lua;lua/?/init.lua;tests/?.lua;;" \
    luajit "$(command -v busted)" --ignore-lua --output=plainTerminal --pattern="${SPEC:-_spec}" --exclude-pattern="${SPEC_NOT:-^%.}" \
    tests/spec >"$log" 2>&1 </dev/null
  code=$?
  cat "$log"
  # N successes / N failures / N errors / N pending
  got=$(sed -n 's/^\([0-9]*\) success[a-z]* \/ \([0-9]*\) failure[a-z]* \/ \([0-9]*\) error[a-z]* \/ \([0-9]*\) pending.*/\1 \2 \3 \4/p' "$log" | tail -n 1)
  [ -n "$got" ] || got="0 1 0 0"
  # shellcheck disable=SC2086  # four numbers
  set -- $got
  bad=$(($2 + $3))
  if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  add "$1" "$bad" "$4"
}

for source in tests/unit/test_*.c; do
  name=$(basename "$source" .c)
  # shellcheck disable=SC2254  # a pattern is meant
  case $name in 'test_*') ;; ${UNIT:-*}) unit_run "$build/unit/$name" ;; esac
done
if ls tests/spec/*.lua >/dev/null 2>&1; then spec_run; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
