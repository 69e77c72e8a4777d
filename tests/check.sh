#!/bin/sh
# What `make check` does: lint, then unit tests and specs under ASan and UBSan, then every fuzzer for a short while.
#
#   tests/check.sh BUILD
#
# All parts run even when one fails; the last line sums up the tests (each fuzzer is one), and the exit code is 0 only
# when lint is clean too. Environment: FUZZ_SECONDS (10), CHECK_PARTS ("lint tests fuzz").
# gcc's analyzer loses pointers kept in arrays that grow, so leaks are left to clang's and to LeakSanitizer.
# cppcheck's uninitvar takes out-parameters for reads; gcc and clang follow them.
# The sanitizer build is clang's, with the house's warnings as errors, so it is the check that clang accepts the code.
set -u
build=${1:-build}
parts=${CHECK_PARTS:-lint tests fuzz}
seconds=${FUZZ_SECONDS:-10}
san='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined'
passed=0 failed=0 skipped=0 bad=

wanted() { case " $parts " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
step() {
  step=$1
  shift
  began=$(date +%s)
  if "$@"; then echo "check: $step: clean ($(($(date +%s) - began)) s)"; else
    echo "check: $step: FAILED"
    bad="$bad $step"
  fi
}

lint_lua() { luacheck -q lua scripts tests host; }
lint_cppcheck() {
  cppcheck -q -j2 --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=uninitvar --suppress=unknownMacro -D__GNUC__ -Ihost host
}
lint_tidy() {
  find host tests/bench -name '*.c' | sort | xargs -P2 -n1 sh -c '
    clang-tidy --quiet "$1" -- -std=gnu11 -D_GNU_SOURCE -I/usr/include/luajit-2.1 -Ihost 2>/dev/null >"$0/$(echo "$1" | tr / _).log" ||
      { cat "$0/$(echo "$1" | tr / _).log"; exit 1; }' "$logs"
}
lint_analyzer() { make -j2 B="$build/analyzer" WARN='-Werror -fanalyzer -fanalyzer-verbosity=0 -Wno-analyzer-malloc-leak' objects >"$logs/analyzer.log" 2>&1 || { cat "$logs/analyzer.log"; return 1; }; }
build_sanitized() { make -k -j2 B="$build/asan" CC=clang CFLAGS="$san" all unit fuzz >"$logs/asan.log" 2>&1 || { tail -n 60 "$logs/asan.log"; return 1; }; }

# Left out: specs whose time goes into killing and starting processes, into texts, or into data that other specs have less of.
tests_sanitized() {
  SPEC_NOT=${SPEC_NOT:-'process_deaths|data_kill|calls_kill|list_|hostile_places|nexmark|card_fraud|tutorial'} \
    UBSAN_OPTIONS=print_stacktrace=1 sh tests/run.sh "$build/asan" >"$logs/tests.log" 2>&1
  code=$?
  cat "$logs/tests.log"
  # shellcheck disable=SC2046  # three numbers
  set -- $(tail -n 1 "$logs/tests.log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
  if [ $# -eq 3 ]; then passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); else failed=$((failed + 1)); fi
  return $code
}

# Every fuzzer, two at a time, each for a short while.
fuzz_run() {
  rm -f "$logs"/fuzz_*.code
  # shellcheck disable=SC2012,SC2016  # names of our own; expanded by the inner shell
  ls tests/fuzz/fuzz_*.c | sed 's/.*[/]//; s/[.]c$//' | xargs -r -P2 -n1 sh -c 'logs=$0 build=$1 seconds=$2 name=$3
    corpus=$build/corpus/$name seeds=tests/fuzz/corpus/$name
    mkdir -p "$corpus"
    [ -d "$seeds" ] || seeds=
    "$build/asan/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -artifact_prefix="$logs/$name-" -verbosity=0 \
      -print_final_stats=1 "$corpus" $seeds >"$logs/$name.log" 2>&1
    echo $? >"$logs/$name.code"' "$logs" "$build" "$seconds"
  before=$failed
  for code in "$logs"/fuzz_*.code; do
    name=$(basename "$code" .code)
    if [ "$(cat "$code")" = 0 ]; then
      echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$name.log") runs"
      passed=$((passed + 1))
    else
      echo "$name: FAILED"
      tail -n 40 "$logs/$name.log"
      failed=$((failed + 1))
    fi
  done
  [ "$failed" -eq "$before" ]
}

logs=$build/check-logs
mkdir -p "$logs"
if wanted lint; then
  step luacheck lint_lua
  step cppcheck lint_cppcheck
  step clang-tidy lint_tidy
  step 'gcc -fanalyzer' lint_analyzer
fi
if wanted tests || wanted fuzz; then step 'clang, sanitizers: build' build_sanitized; fi
if wanted tests; then step 'sanitizers: tests' tests_sanitized; fi
if wanted fuzz; then step fuzzers fuzz_run; fi
[ -z "$bad" ] || echo "check: failed:$bad"
echo "$passed passed, $failed failed, $skipped skipped"
[ -z "$bad" ] && [ "$failed" -eq 0 ]
