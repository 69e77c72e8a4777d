#!/bin/sh
# What `make crash` does: the tests of deaths at their larger size. Same seeds, same traces: each of them runs some seeds twice and compares.
#
#   tests/crash.sh BUILD
#
# Environment: CRASHES (100000) losses of power of a journal, a tenth of them with snapshots and a tenth on disks that are full; KILLS (200)
# of the host and as many of workers, for each of SEEDS (1 2 3 4 5). The journal that is cut and flipped is four times as long.
set -u
build=${1:-build}
crashes=${CRASHES:-100000}
passed=0 failed=0 skipped=0

# run.sh with these; its last line is added up
part() {
  log=$build/crash.log
  echo "== $*"
  env UNIT_SECONDS=14400 "$@" sh tests/run.sh "$build" >"$log" 2>&1
  grep -v '^[0-9]* passed, ' "$log"
  # shellcheck disable=SC2046  # three numbers
  set -- $(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
  if [ $# -eq 3 ]; then passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); else failed=$((failed + 1)); fi
}

part UNIT=test_journal_power SPEC='^none$' TM_CRASHES="$crashes"
part UNIT=test_journal_room SPEC='^none$' TM_CRASHES=$((crashes / 10))
part UNIT=test_snapshot_power SPEC='^none$' TM_CRASHES=$((crashes / 10))
part UNIT=test_journal_cuts SPEC='^none$' TM_CUTS=large
for seed in ${SEEDS:-1 2 3 4 5}; do
  part UNIT=none SPEC='data_kill' TM_KILLS="${KILLS:-200}" TM_SEED="$seed"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
