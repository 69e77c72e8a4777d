/* test_journal_power.c - power lost at seeded points of a journal's lives: whatever was reported as synced is there afterwards, whole
 * and in order. The same seed gives the same trace. TM_CRASHES: how many points (2,000). */
#include "journal_run.h"

static struct put_list list;

/* One epoch's before_sync: what the outputs are asked for must come before the epoch can be found on the disk. */
static int asked(void *ctx, uint64_t epoch, struct tm_err *err) {
  (void)err;
  *(uint64_t *)ctx = epoch;
  return 0;
}

/* Some lives on one disk, each ended by a loss of power (or now and then a kill or a sync that fails). Returns the points at which power
 * was lost; *trace: of the disk. */
static int lives(uint64_t seed, uint64_t *trace) {
  uint64_t x = seed * 2654435761u + 88172645463325252u, synced = 0, released = 0, output = 0;
  struct disk *d = run_disk(seed);
  struct tm_journal_options o = run_options(d, 4096 << run_random(&x) % 3);
  struct tm_journal_scan scan;
  struct tm_err err = { 0 };
  struct got g;
  int crashes = 0;

  o.before_sync = asked;
  o.ctx = &output;
  for (int life = 0; life < 6; life++) {
    uint64_t epoch = 0, before = released;
    struct tm_journal *j = NULL;
    int how = (int)(run_random(&x) % 8), r;

    disk_power_off_after(d, (int64_t)(run_random(&x) % (run_random(&x) % 4 == 0 ? 40 : 200)));
    if (how == 0) disk_fault_set(d, 0, (int64_t)(run_random(&x) % 60), EIO);
    r = run_recover(d, &list, before, &g, &scan, &err);
    if (r != 0 && !disk_is_off(d) && !disk_fault_met(d)) CHECK(0, "seed %" PRIu64 " life %d: %s", seed, life, err.detail);
    if (r == 0) {
      CHECK(g.wrong == 0 && g.now == 0 && g.last >= synced, "seed %" PRIu64 " life %d: %d wrong, %" PRIu64 " of %" PRIu64, seed, life, g.wrong,
            g.last, synced);
      CHECK(g.last <= output || g.last == 0, "seed %" PRIu64 ": epoch %" PRIu64 " is there before its outputs (%" PRIu64 ")", seed, g.last, output);
      output = g.last;
      epoch = g.last;
      j = tm_journal_open(&o, &scan, before, &err);
      tm_journal_scan_fini(disk_io(d), &scan);
      if (j == NULL && !disk_is_off(d) && !disk_fault_met(d)) CHECK(0, "seed %" PRIu64 " life %d: %s", seed, life, err.detail);
    }
    while (j != NULL && !disk_is_off(d) && epoch < RUN_EPOCHS - 10) {
      uint64_t e = run_put(j, &list, &x, (int64_t)(run_random(&x) % (run_random(&x) % 5 == 0 ? 6000 : 300)), epoch + 1);

      if (e == 0) break;
      epoch = e;
      if (run_random(&x) % 2 == 0 && tm_journal_step(j) < 0) break;
      if (tm_journal_synced(j) > synced) synced = tm_journal_synced(j);
      if (run_random(&x) % 9 == 0 && synced > 8) {
        released = synced - 8 > released ? synced - 8 : released;
        tm_journal_release(j, released);
      }
      if (run_random(&x) % 40 == 0) break;
    }
    if (j != NULL) {
      if (tm_journal_synced(j) > synced) synced = tm_journal_synced(j);
      if (run_random(&x) % 2 == 0) {
        if (tm_journal_close(j, &err) == 0) synced = epoch;
      } else {
        tm_journal_abandon(j);
      }
    }
    CHECK(disk_memory_used(d) == 0, "seed %" PRIu64 ": %" PRId64 " bytes left", seed, disk_memory_used(d));
    disk_fault_clear(d);
    if (disk_is_off(d) || how != 1) {
      disk_power_on(d);
      crashes++;
    } else {
      disk_power_off_after(d, -1);
      disk_kill(d);
    }
  }
  int r = run_recover(d, &list, released, &g, &scan, &err);
  CHECK(r == 0 && g.wrong == 0 && g.last >= synced, "seed %" PRIu64 " at the end: %s, %" PRIu64 " of %" PRIu64, seed, r != 0 ? err.detail : "", g.last,
        synced);
  if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
  *trace = disk_trace(d);
  disk_free(d);
  put_list_free(&list);
  return crashes;
}

int main(void) {
  const char *wanted = getenv("TM_CRASHES");
  int64_t crashes = 0, points = wanted != NULL ? strtoll(wanted, NULL, 10) : 2000;
  uint64_t seed = 1, trace, again;

  for (; crashes < points; seed++) {
    crashes += lives(seed, &trace);
    if (seed % 25 != 0) continue;
    lives(seed, &again);
    CHECK(trace == again, "seed %" PRIu64 " gives two traces", seed);
  }
  printf("test_journal_power: %" PRId64 " losses of power\n", crashes);
  return unit_end("test_journal_power");
}
