/* test_journal_faults.c - every call of I/O and every allocation of a journal's life fails once: with EIO, ENOSPC, EINTR, cut
 * short. After each the machine loses power or the process is killed, and what was acknowledged must be there. A run in
 * which the fault did not happen has failed. */
#include "journal_run.h"

static struct put_list list;

/* What a life came to. */
struct life {
  uint64_t epoch, synced, synced_max;
  int ok;
};

/* A life on a disk that holds some epochs already: recovers, puts over several segments, releases, closes, looks. 1 all went
 * well, 0 something was refused with an error. */
static int live(struct disk *d, struct life *l) {
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;
  struct tm_err err = { 0 };
  struct got g;
  uint64_t x = 21;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  int r;

  if (j == NULL) {
    CHECK(err.id != NULL && err.detail[0] != '\0', "an error without words");
    return 0;
  }
  CHECK(g.wrong == 0 && g.last >= l->synced_max, "recovered %" PRIu64 " of %" PRIu64, g.last, l->synced_max);
  l->epoch = g.last;
  for (int i = 0; i < 12; i++) {
    uint64_t e = run_put(j, &list, &x, (int64_t)(run_random(&x) % 2500), l->epoch + 1);

    if (e == 0) break;
    l->epoch = e;
    if (i % 3 != 2) tm_journal_step(j);
    l->synced = tm_journal_synced(j);
    if (l->synced > l->synced_max) l->synced_max = l->synced;
    if (i == 9) tm_journal_release(j, 4);
  }
  r = tm_journal_failed(j, &err);
  if (r) CHECK(err.id != NULL && err.detail[0] != '\0', "a failure without words");
  r = tm_journal_close(j, &err);
  if (r != 0) return 0;
  l->synced_max = l->epoch;
  if (tm_journal_scan(disk_io(d), RUN_DIR, RUN_ID, &scan, &err) != 0) return 0;
  CHECK(!scan.damaged && scan.epoch_last == l->epoch && scan.closed, "closed in order: %s", scan.damage);
  tm_journal_scan_fini(disk_io(d), &scan);
  return 1;
}

/* Releasing leaves only what is behind epoch 4: recovery begins at what is there. */
static int recover_rest(struct disk *d, struct got *g, struct tm_err *err) {
  struct tm_journal_scan scan;
  int r = run_recover(d, &list, 0, g, &scan, err);

  if (r != 0 && err->id != NULL && strcmp(err->id, "journal-short") == 0) r = run_recover(d, &list, 4, g, &scan, err);
  if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
  return r;
}

/* The disk every run begins with. */
static struct disk *start(void) {
  struct disk *d = run_disk(31);
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  uint64_t x = 1;

  TM_ASSERT(j != NULL);
  for (uint64_t e = 1; e <= 6; e++) {
    run_put(j, &list, &x, 900, e);
    tm_journal_step(j);
  }
  tm_journal_abandon(j);
  disk_kill(d);
  return d;
}

static void one(int memory, int64_t nth, int code, int power) {
  struct disk *d = start();
  struct life l = { .synced_max = 6 };
  struct tm_err err = { 0 };
  struct got g;
  int ok, r;

  disk_fault_set(d, memory, nth, code);
  ok = live(d, &l);
  CHECK(disk_fault_met(d), "the fault did not happen: %s %" PRId64 " code %d", memory ? "allocation" : "call", nth, code);
  disk_fault_clear(d);
  CHECK(disk_memory_used(d) == 0 && disk_descriptors_used(d) == 0, "%s %" PRId64 " code %d: left %" PRId64 " bytes, %d descriptors",
        memory ? "allocation" : "call", nth, code, disk_memory_used(d), disk_descriptors_used(d));
  if (code == DISK_SHORT) CHECK(ok, "cut short at %" PRId64 " is no error", nth);
  if (power) disk_power_on(d);
  else disk_kill(d);
  r = recover_rest(d, &g, &err);
  CHECK(r == 0 && g.wrong == 0 && g.last >= l.synced_max, "%s %" PRId64 " code %d: %s, last %" PRIu64 " of %" PRIu64,
        memory ? "allocation" : "call", nth, code, r != 0 ? err.detail : "taken", g.last, l.synced_max);
  /* and a life without faults follows, then a loss of power */
  struct tm_journal_options o = run_options(d, 4096);
  struct tm_journal_scan scan;
  if (run_recover(d, &list, g.after, &g, &scan, &err) == 0) {
    struct tm_journal *j = tm_journal_open(&o, &scan, g.after, &err);
    uint64_t x = 2, last = g.last, after = g.after;

    tm_journal_scan_fini(disk_io(d), &scan);
    CHECK(j != NULL, "opens again: %s", err.detail);
    if (j != NULL) {
      run_put(j, &list, &x, 1000, last + 1);
      CHECK(tm_journal_step(j) == 1 && tm_journal_synced(j) == last + 1, "goes on");
      tm_journal_abandon(j);
      disk_power_on(d);
      r = run_recover(d, &list, after, &g, &scan, &err);
      CHECK(r == 0 && g.wrong == 0 && g.last == last + 1, "%s %" PRId64 " code %d, then power lost: %s", memory ? "allocation" : "call",
            nth, code, r != 0 ? err.detail : "epochs");
      if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
    }
  }
  disk_free(d);
}

int main(void) {
  static const int codes[] = { EIO, ENOSPC, EINTR };
  struct disk *d = start();
  struct life l = { .synced_max = 6 };
  int64_t calls = disk_calls(d, 0), memory = disk_calls(d, 1), moves = disk_calls_of(d, DISK_READ) + disk_calls_of(d, DISK_WRITE);

  CHECK(live(d, &l), "the life without a fault");
  calls = disk_calls(d, 0) - calls;
  memory = disk_calls(d, 1) - memory;
  moves = disk_calls_of(d, DISK_READ) + disk_calls_of(d, DISK_WRITE) - moves;
  disk_free(d);
  CHECK(calls > 80 && memory > 10 && moves > 20, "%" PRId64 " calls, %" PRId64 " allocations, %" PRId64 " reads and writes", calls, memory, moves);
  for (int power = 0; power < 2; power++) {
    for (int c = 0; c < 3; c++) {
      for (int64_t i = 0; i < calls; i++) one(0, i, codes[c], power);
    }
    for (int64_t i = 0; i < moves; i++) one(0, i, DISK_SHORT, power);
    for (int64_t i = 0; i < memory; i++) one(1, i, ENOMEM, power);
  }
  put_list_free(&list);
  return unit_end("test_journal_faults");
}
