/* epochs_back.c - for `tidemill why`: which epoch of a data folder lies just before an event (epochs.h).
 *
 * All epochs that the folder still has, from the older snapshot on, are read through once, of which only the shared block is put
 * into a block aside: behind each epoch it says how far its source was. Then the folder is put back up to the last epoch that had not come to
 * the event, sinks and pipelines are forgotten, and the run goes on from there as a worker does after a death, with sinks that write nothing.
 * A run of several sources, or of files that are followed, has no one place: its history is read from the start. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../base/log.h"
#include "../durable/journal.h"
#include "epochs_own.h"

/* What belongs to sources in the shared block. */
static const char *const of_sources[] = {"source", "source-end", "input", "files", "files-text", "named", "named-text", "columns", "unpack",
                                         "turns", "log-source"};

struct back {
  struct tm_shared *aside;
  size_t size;
  char *arena;                     /* of the block aside, and its size: bytes of the folder's block lie over them */
  size_t arena_size;
  double number;                   /* of the event */
  uint64_t until, first;           /* the last epoch before it; the first of all */
  int several;
};

static int take_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  const struct back *b = ctx;
  if (offset < TM_EPOCHS_SHARED) return 0;
  size_t at = (size_t)(offset - TM_EPOCHS_SHARED);
  if (at > b->size || (size_t)n > b->size - at) return tm_err_set(err, 1, "data", "an epoch has bytes outside of the run's memory");
  memcpy((char *)b->aside + at, bytes, (size_t)n);
  return 0;
}

static int take_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  (void)ctx;
  (void)offset;
  (void)n;
  (void)err;
  return 0;
}

static int take_epoch(void *ctx, uint64_t epoch, struct tm_err *err) {
  struct back *b = ctx;
  (void)err;
  b->aside->arena = b->arena;
  b->aside->arena_size = b->arena_size;
  double place = tm_flow_place(b->aside);
  if (b->first == 0) b->first = epoch;
  if (place < 0) b->several = 1;
  else if (place <= b->number) b->until = epoch;
  return 0;
}

/* The number behind the last colon of an id, as it ends: PACK-HASH@SOURCE:NUMBER; below 0: it has none. */
static double number_of(const char *id) {
  const char *colon = strrchr(id, ':');
  char *end;
  if (colon == NULL || colon[1] < '0' || colon[1] > '9') return -1;
  return strtod(colon + 1, &end);
}

int tm_epochs_back_find(struct tm_epochs *e, const struct tm_options *o, uint64_t *until, struct tm_err *err) {
  struct back b = {.number = -1};
  const struct tm_data_load to = {.ctx = &b, .bytes = take_bytes, .zero = take_zero, .ended = take_epoch, .oldest = 1};
  struct tm_journal_scan scan;
  uint64_t last, snapshot;
  *until = 0;
  for (int i = 0; i < o->ids_n; i++) {
    double number = number_of(o->ids[i]);
    if (i == 0 || number < b.number) b.number = number;
  }
  if (b.number < 0) return 0;  /* ids of a file: all of the history is gone through */
  if ((b.aside = tm_shared_new(NULL, err)) == NULL) return -1;
  b.arena = b.aside->arena;
  b.arena_size = b.aside->arena_size;
  b.size = sizeof *b.aside + b.arena_size;
  int rc = tm_data_load(&e->dir, &to, &last, &snapshot, &scan, err);
  if (rc == 0) tm_journal_scan_fini(e->io, &scan);
  munmap(b.aside, (size_t)(b.arena - (char *)b.aside) + b.arena_size);
  if (rc != 0) return -1;
  if (b.several)
    tm_log_info("%s: the run has several sources, or follows files, so nothing tells which epoch lies before the event; history is read from its start",
                e->dir.path);
  else if (b.until == 0)
    tm_log_info("%s: its snapshots and journal reach back to epoch %llu, which lies behind the event; history is read from its start", e->dir.path,
                (unsigned long long)b.first);
  else
    tm_log_info("%s: state is that of epoch %llu of %llu, and what follows is read again", e->dir.path, (unsigned long long)b.until,
                (unsigned long long)last);
  *until = b.several ? 0 : b.until;
  return 0;
}

void tm_epochs_back_settle(struct tm_epochs *e) {
  tm_shared_forget(e->shared, of_sources, (int)(sizeof of_sources / sizeof of_sources[0]));
}
