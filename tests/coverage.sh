#!/bin/sh
# What `make coverage` does: a build that counts branches, the tests of what must survive a death on it, and the table (coverage.py).
#
#   tests/coverage.sh BUILD
#
# The numbers of the cuts, kills and losses of power are small: here it counts which branches are taken, not how often.
set -u
build=${1:-build/coverage}
units='test_journal* test_snapshot* test_data_dir test_forged test_crc32c test_sqlite test_log_* test_eventlog'
specs='data_|sink_sqlite|calls_fail'

set -f
targets="all $build/faults/calls.so"
for pattern in $units; do
  for source in $(set +f; echo tests/unit/$pattern.c); do targets="$targets $build/unit/$(basename "$source" .c)"; done
done
# shellcheck disable=SC2086  # words
make -j2 B="$build" CFLAGS='-O0 -g --coverage -fprofile-update=atomic' $targets >"$build.log" 2>&1 || { tail -n 40 "$build.log"; exit 1; }
find "$build" -name '*.gcda' -delete
bad=0
export TM_CUTS=small TM_CRASHES=300 TM_KILLS=6
for pattern in $units; do UNIT=$pattern SPEC='^none$' sh tests/run.sh "$build" || bad=1; done
UNIT=none SPEC=$specs sh tests/run.sh "$build" || bad=1
python3 tests/coverage.py "$build" || bad=1
exit $bad
