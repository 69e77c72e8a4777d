/* journal_repair.c - giving up what is behind damage, so that a run can start again: only when somebody said that the loss is accepted.
 *
 * What is kept: the newest snapshot, and the journal's epochs behind it up to the damage. Where the journal does not go on from the
 * snapshot, the snapshot alone is kept, and the journal begins anew behind its epoch. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "segment.h"
#include "snapshot_core.h"

enum { FOUND_MAX = 8, SEGMENT_MIN = 4096, SEGMENT_MAX = 64 << 20 };

/* The newest epochs of snapshot files, whatever they hold. */
struct found {
  uint64_t epochs[FOUND_MAX];
  int n;
};

static int found_add(void *ctx, const char *name) {
  struct found *f = ctx;
  uint64_t epoch = tm_snapshot_name_epoch(name);
  int i;

  if (epoch == 0) return 0;
  for (i = f->n; i > 0 && f->epochs[i - 1] < epoch; i--) {
    if (i < FOUND_MAX) f->epochs[i] = f->epochs[i - 1];
  }
  if (i < FOUND_MAX) f->epochs[i] = epoch;
  if (f->n < FOUND_MAX) f->n++;
  return 0;
}

/* The snapshots there are, from their files: 0 and *list, or -1 with err. */
static int list_find(const struct tm_io *io, const char *dir, uint64_t id, struct tm_snapshot_list *list, struct tm_err *err) {
  struct found f = { .n = 0 };
  struct tm_err bad;
  int r = io->list(io, dir, found_add, &f);

  if (r < 0) return tm_segment_failed(err, "list the folder", dir, r);
  list->n = 0;
  for (int i = 0; i < f.n && list->n < TM_SNAPSHOT_KEPT; i++) {
    if (tm_snapshot_probe(io, dir, id, f.epochs[i], &list->kept[list->n], &bad) == 0) list->n++;
  }
  return 0;
}

/* The manifest's generations that are whole; loss->manifest when they are not what it says. 0, or -1 with err. */
static int list_check(const struct tm_io *io, const char *dir, uint64_t id, struct tm_snapshot_list *list, struct tm_journal_loss *loss,
                      struct tm_err *err) {
  static const struct tm_snapshot_visitor nobody = { 0 };
  struct tm_err bad;
  int n = 0;

  if (tm_snapshot_list_read(io, dir, id, list, err) != 0) {
    if (strcmp(err->id, "manifest-damaged") != 0) return -1;
    snprintf(loss->what, sizeof loss->what, "the manifest of the snapshots is damaged");
    loss->damaged = loss->manifest = 1;
    return list_find(io, dir, id, list, err);
  }
  for (int i = 0; i < list->n; i++) {
    if (tm_snapshot_read(io, dir, id, &list->kept[i], &nobody, &bad) != 0) loss->manifest = 1;
    else list->kept[n++] = list->kept[i];
  }
  list->n = n;
  return 0;
}

/* Segments from `number` on get other names: 0, or -1 with err. */
static int segments_move(const struct tm_io *io, const char *dir, const struct tm_journal_scan *scan, uint64_t number,
                         struct tm_journal_loss *loss, struct tm_err *err) {
  char path[TM_SEGMENT_PATH], lost[TM_SEGMENT_PATH], name[64];
  int r;

  for (int64_t i = scan->segments_n - 1; i >= 0 && scan->segments[i].number >= number; i--) {
    snprintf(name, sizeof name, "lost.%016" PRIx64, scan->segments[i].number);
    r = io->rename(io, tm_segment_path(dir, scan->segments[i].number, path), tm_data_path(dir, name, lost));
    if (r < 0) return tm_segment_failed(err, "rename", path, r);
    loss->segments++;
  }
  r = io->fsync_dir(io, dir);
  return r < 0 ? tm_segment_failed(err, "sync the folder", dir, r) : 0;
}

/* Opens behind what is kept and closes in order, which leaves the mark: 0, or -1 with err. */
static int settle(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_journal_scan *kept, struct tm_err *err) {
  struct tm_journal_options o = { .io = io, .dir = dir, .id = id };
  struct tm_journal *j;

  /* of the size that the journal's segments have, if they have a usual one */
  if (kept->segments_n > 0 && kept->segments[0].size >= SEGMENT_MIN && kept->segments[0].size <= SEGMENT_MAX)
    o.segment_size = kept->segments[0].size;
  j = tm_journal_open(&o, kept, 0, err);
  return j != NULL ? tm_journal_close(j, err) : -1;
}

/* The kept part of a damaged journal: 0, or -1 with err. */
static int cut(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_journal_scan *scan, uint64_t snapshot, int accept,
               struct tm_journal_loss *loss, struct tm_err *err) {
  struct tm_journal_scan kept;
  uint64_t from = scan->damaged ? scan->damage_segment : 0;
  int r;

  if (tm_journal_scan_until(io, dir, id, from, scan->damage_at, &kept, err) != 0) return -1;
  loss->kept = kept.epoch_last;
  if (kept.epoch_last < snapshot || kept.tail_segment < 0 || kept.epoch_first > snapshot + 1 || (kept.epoch_first == 0 && kept.epoch_last > snapshot)) {
    /* the snapshot alone; numbers of segments go on, so that lost ones are not mixed up */
    loss->kept = snapshot;
    from = 0;
    kept.tail_segment = -1;
    kept.epoch_last = snapshot;
  } else {
    from = kept.segments[kept.tail_segment].number;
  }
  kept.damaged = 0;
  r = 0;
  if (accept) r = segments_move(io, dir, scan, from == 0 ? 0 : from + 1, loss, err);
  if (r == 0 && accept) r = settle(io, dir, id, &kept, err);
  tm_journal_scan_fini(io, &kept);
  return r;
}

int tm_journal_repair(const struct tm_io *io, const char *dir, uint64_t id, int accept, struct tm_journal_loss *loss, struct tm_err *err) {
  struct tm_journal_scan scan;
  struct tm_snapshot_list list;
  struct tm_err bad;
  uint64_t snapshot;
  int r = 0;

  memset(loss, 0, sizeof *loss);
  if (list_check(io, dir, id, &list, loss, err) != 0 || tm_journal_scan(io, dir, id, &scan, err) != 0) return -1;
  snapshot = list.n > 0 ? list.kept[0].epoch : 0;
  loss->kept = scan.epoch_last;
  loss->lost = scan.durable_upto > scan.epoch_last ? scan.durable_upto : scan.epoch_last;
  if (scan.damaged || scan.epoch_last < snapshot || (scan.epoch_last > snapshot && (scan.epoch_first == 0 || scan.epoch_first > snapshot + 1))) {
    if (tm_journal_refuse(dir, &scan, snapshot, &bad) == 0)
      snprintf(bad.detail, sizeof bad.detail, "the journal does not go on from epoch %" PRIu64, snapshot);
    loss->damaged = 1;
    snprintf(loss->what, sizeof loss->what, "%.500s", scan.damaged ? scan.damage : bad.detail);
    r = cut(io, dir, id, &scan, snapshot, accept, loss, err);
  }
  if (r == 0 && accept && loss->manifest) r = tm_snapshot_list_write(io, dir, id, &list, err);
  tm_journal_scan_fini(io, &scan);
  return r;
}
