#!/bin/sh
# Runs the C unit tests in BUILD/unit and the specs in tests/spec against BUILD/tidemill; the last line sums them up.
#
#   tests/run.sh BUILD
#
# A test program that ends badly without having counted a failure counts as one, so that a crash is never "0 failed".
# Specs run on LuaJIT, as the host does; they find the program in TIDEMILL_BIN. Environment: SPEC, a pattern of spec files to run
# (as grep -E has it); SPEC_NOT, one of files to leave out; UNIT, a shell pattern of unit tests (default *);
# UNIT_SECONDS, how long one of these may take (300); SPEC_JOBS, how many run at a time (2).
set -u
build=${1:-build}
logs=$build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0

add() { passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3)); }


# Unit tests, SPEC_JOBS (2) at a time; the largest first, as they take longest.
unit_run() {
  rm -f "$logs"/test_*.log "$logs"/test_*.code
  # shellcheck disable=SC2012,SC2016  # names of our own; expanded by the inner shell
  ls -S tests/unit/test_*.c | sed 's/.*[/]//; s/[.]c$//' | unit_wanted |
    xargs -r -P"${SPEC_JOBS:-2}" -n1 sh -c 'timeout "$1" "$2/unit/$3" >"$0/$3.log" 2>&1
      echo $? >"$0/$3.code"' "$logs" "${UNIT_SECONDS:-300}" "$build"
  for code in "$logs"/test_*.code; do [ ! -e "$code" ] || unit_add "${code%.code}" "$(cat "$code")"; done
}

unit_wanted() {
  while read -r name; do
    # shellcheck disable=SC2254  # a pattern is meant
    case $name in ${UNIT:-*}) echo "$name" ;; esac
  done
}

# adds what a test's log says; name without .log, exit code
unit_add() {
  name=$(basename "$1") log=$1.log code=$2
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

# One busted a file, SPEC_JOBS (2) at a time; the largest files first, as they take longest.
# LeakSanitizer cannot see into LuaJIT's own memory, where the host's objects are held: off for the program itself.
spec_run() {
  bin=$(cd "$build" && pwd)/tidemill
  rm -f "$logs"/*_spec.lua.log "$logs"/*_spec.lua.code
  # shellcheck disable=SC2012,SC2016  # names of our own; expanded by the inner shell
  ls -S tests/spec/*_spec.lua | grep -E "${SPEC:-.}" | grep -Ev "${SPEC_NOT:-^$}" |
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" TIDEMILL_BIN=$bin LUA_PATH="lua/?.lua;lua/?/init.lua;tests/?.lua;;" \
    xargs -r -P"${SPEC_JOBS:-2}" -n1 sh -c 'log=$0/$(basename "$1")
      luajit "$(command -v busted)" --ignore-lua --output=plainTerminal "$1" >"$log.log" 2>&1 </dev/null
      echo $? >"$log.code"' "$logs"
  for code in "$logs"/*_spec.lua.code; do [ ! -e "$code" ] || spec_add "${code%.code}" "$(cat "$code")"; done
}

# adds what a file's log says; name without .log, exit code
spec_add() {
  # N successes / N failures / N errors / N pending
  got=$(sed -n 's/^\([0-9]*\) success[a-z]* \/ \([0-9]*\) failure[a-z]* \/ \([0-9]*\) error[a-z]* \/ \([0-9]*\) pending.*/\1 \2 \3 \4/p' "$1.log" | tail -n 1)
  name=$(basename "$1" .lua) code=$2
  # shellcheck disable=SC2086  # four numbers
  set -- ${got:-0 1 0 0} "$1.log"
  bad=$(($2 + $3))
  if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  [ "$bad" -eq 0 ] || cat "$5"
  echo "$name: $1 passed, $bad failed, $4 skipped"
  add "$1" "$bad" "$4"
}

if ls tests/unit/test_*.c >/dev/null 2>&1; then unit_run; fi
if ls tests/spec/*.lua >/dev/null 2>&1; then spec_run; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
