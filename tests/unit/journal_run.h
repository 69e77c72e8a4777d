/* journal_run.h - what the tests of the journal share: epochs of random bytes, a plain list of what was put, and the comparison
 * of what a recovery gives with that list. Nothing here knows the journal's files. */
#ifndef TM_TESTS_JOURNAL_RUN_H
#define TM_TESTS_JOURNAL_RUN_H

#include <errno.h>
#include <inttypes.h>

#include "../../host/durable/journal.h"
#include "disk_sim.c"
#include "unit.h"

#define RUN_DIR "/data"
enum { RUN_ID = 4711, RUN_EPOCHS = 4096 };

/* What was put, by epoch; an epoch that is put again after a death replaces what was there. */
struct put_list {
  unsigned char *bytes[RUN_EPOCHS + 1];
  int64_t n[RUN_EPOCHS + 1];
};

static void put_list_free(struct put_list *l) {
  for (int i = 0; i <= RUN_EPOCHS; i++) free(l->bytes[i]);
  memset(l, 0, sizeof *l);
}

static uint64_t run_random(uint64_t *x) {
  *x ^= *x << 13;
  *x ^= *x >> 7;
  *x ^= *x << 17;
  return *x;
}

/* Puts one epoch of n random bytes in pieces of random sizes: its number, or 0 when the journal has failed. In step mode: makes
 * rounds when it is full. */
static uint64_t run_put(struct tm_journal *j, struct put_list *l, uint64_t *x, int64_t n, uint64_t epoch) {
  unsigned char *b = malloc((size_t)n + 1);
  int64_t at = 0;
  int r;

  for (int64_t i = 0; i < n; i++) b[i] = (unsigned char)(run_random(x) >> 24);
  TM_ASSERT(epoch <= RUN_EPOCHS);
  free(l->bytes[epoch]);
  l->bytes[epoch] = b;
  l->n[epoch] = n;
  while ((r = tm_journal_begin(j)) == TM_JOURNAL_FULL) {
    if (tm_journal_step(j) < 0) return 0;
  }
  if (r == TM_JOURNAL_FAILED) return 0;
  while (at < n && r == TM_JOURNAL_OK) {
    int64_t part = 1 + (int64_t)(run_random(x) % (uint64_t)(n - at));

    r = tm_journal_put(j, b + at, part);
    if (r == TM_JOURNAL_OK) at += part;
    if (r == TM_JOURNAL_FULL) r = tm_journal_step(j) < 0 ? TM_JOURNAL_FAILED : TM_JOURNAL_OK;
  }
  if (r != TM_JOURNAL_OK) {
    tm_journal_end(j);
    return 0;
  }
  return tm_journal_end(j);
}

/* What a recovery gave. */
struct got {
  const struct put_list *list;
  uint64_t after, last;             /* the last epoch that came whole */
  uint64_t now;                     /* the epoch at hand */
  int64_t at;
  int wrong;                        /* pieces that are not what was put */
};

static int got_piece(void *ctx, uint64_t epoch, const void *piece, int64_t n, int last, struct tm_err *err) {
  struct got *g = ctx;

  (void)err;
  if (g->now == 0) {
    if (epoch != g->last + 1) g->wrong++;
    g->now = epoch;
    g->at = 0;
  }
  if (epoch != g->now || epoch > RUN_EPOCHS || g->at + n > g->list->n[epoch] ||
      (n > 0 && memcmp(g->list->bytes[epoch] + g->at, piece, (size_t)n) != 0)) {
    g->wrong++;
    return 0;
  }
  g->at += n;
  if (last) {
    if (g->at != g->list->n[epoch]) g->wrong++;
    g->last = epoch;
    g->now = 0;
  }
  return 0;
}

/* Recovers all after `after`: 0 or -1 with err; *scan is the caller's to end after 0. */
static int run_recover(struct disk *d, const struct put_list *l, uint64_t after, struct got *g, struct tm_journal_scan *scan,
                       struct tm_err *err) {
  *g = (struct got){ .list = l, .after = after, .last = after };
  return tm_journal_recover(disk_io(d), RUN_DIR, RUN_ID, after, got_piece, g, scan, err);
}

static struct tm_journal_options run_options(struct disk *d, int64_t segment_size) {
  return (struct tm_journal_options){ .io = disk_io(d), .dir = RUN_DIR, .id = RUN_ID, .segment_size = segment_size };
}

/* A disk with an empty folder. */
static struct disk *run_disk(uint64_t seed) {
  struct disk *d = disk_new(seed);

  disk_io(d)->mkdir(disk_io(d), RUN_DIR, 0700);
  disk_io(d)->fsync_dir(disk_io(d), "/");
  return d;
}

/* Recovers and opens: NULL with err. */
__attribute__((unused)) static struct tm_journal *run_open(struct disk *d, const struct tm_journal_options *o, const struct put_list *l, struct got *g,
                                   struct tm_err *err) {
  struct tm_journal_scan scan;
  struct tm_journal *j;

  if (run_recover(d, l, 0, g, &scan, err) != 0) return NULL;
  j = tm_journal_open(o, &scan, 0, err);
  tm_journal_scan_fini(disk_io(d), &scan);
  return j;
}

#endif
