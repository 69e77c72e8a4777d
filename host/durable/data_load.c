/* data_load.c - taking up what a data folder holds: the newest whole snapshot, then the journal behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "data_dir.h"
#include "journal.h"
#include "payload.h"
#include "snapshot.h"
#include "witness.h"

struct load {
  const struct tm_io *io;
  const struct tm_data_load *to;
  struct tm_payload_reader reader;
  unsigned char *head;              /* of the last epoch that was read */
  int64_t head_n, head_cap;
};

static int head_keep(void *ctx, const void *head, int64_t n, struct tm_err *err) {
  struct load *l = ctx;

  if (n > l->head_cap || l->head == NULL) {
    unsigned char *more = l->io->memory(l->io, l->head, (size_t)n + 1);

    if (more == NULL) return tm_err_set(err, 1, "no-memory", "no memory for the head of an epoch (%" PRId64 " bytes)", n);
    l->head = more;
    l->head_cap = n;
  }
  if (n > 0) memcpy(l->head, head, (size_t)n);
  l->head_n = n;
  return 0;
}

static int snapshot_head(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *err) {
  (void)epoch;
  return head_keep(ctx, head, n, err);
}

static int take_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  const struct load *l = ctx;

  return l->to->bytes(l->to->ctx, offset, bytes, n, err);
}

static int take_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  const struct load *l = ctx;

  return l->to->zero(l->to->ctx, offset, n, err);
}

static int piece(void *ctx, uint64_t epoch, const void *bytes, int64_t n, int last, struct tm_err *err) {
  struct load *l = ctx;

  if (l->to->until != 0 && epoch > l->to->until) return 0;
  if (tm_payload_read(&l->reader, bytes, n, last, err) != 0) return -1;
  return last && l->to->ended != NULL ? l->to->ended(l->to->ctx, epoch, err) : 0;
}

/* The first generation that is wanted and whole: its index; list->n: none is. */
static int whole_find(const struct tm_data_dir *d, const struct tm_data_load *to, const struct tm_snapshot_list *list, struct tm_err *err) {
  static const struct tm_snapshot_visitor nobody = { 0 };

  for (int i = to->oldest && list->n > 0 ? list->n - 1 : 0; i < list->n; i++) {
    if (to->until != 0 && list->kept[i].epoch > to->until) continue;
    if (tm_snapshot_read(d->io, d->path, d->id, &list->kept[i], &nobody, err) == 0) return i;
    tm_log_warning("%s; trying %s", err->detail, i + 1 < list->n ? "the one before it" : "the journal alone");
  }
  return list->n;
}

/* The snapshot, if there is one that is whole: 0 and *epoch, or -1 with err. */
static int snapshot_load(const struct tm_data_dir *d, struct load *l, uint64_t *epoch, struct tm_err *err) {
  const struct tm_snapshot_visitor to = { .ctx = l, .block = take_bytes, .head = snapshot_head };
  struct tm_snapshot_list list;
  int i;

  *epoch = 0;
  if (tm_snapshot_list_read(d->io, d->path, d->id, &list, err) != 0) return -1;
  i = whole_find(d, l->to, &list, err);
  if (i == list.n) return 0;
  if (tm_snapshot_read(d->io, d->path, d->id, &list.kept[i], &to, err) != 0) return -1;
  *epoch = list.kept[i].epoch;
  return l->to->ended != NULL ? l->to->ended(l->to->ctx, *epoch, err) : 0;
}

int tm_data_load(const struct tm_data_dir *d, const struct tm_data_load *to, uint64_t *epoch, uint64_t *snapshot,
                 struct tm_journal_scan *scan, struct tm_err *err) {
  struct load l = { .io = d->io, .to = to };
  const struct tm_payload_visitor visitor = { .ctx = &l, .head = head_keep, .bytes = take_bytes, .zero = take_zero };
  int r;

  r = snapshot_load(d, &l, snapshot, err);
  if (r == 0) {
    tm_payload_reader_init(&l.reader, d->io, &visitor);
    r = tm_journal_recover(d->io, d->path, d->id, *snapshot, piece, &l, scan, err);
    tm_payload_reader_fini(&l.reader);
  }
  if (r == 0 && scan->witness == TM_WITNESS_BROKEN)
    tm_log_warning("%s/" TM_WITNESS_NAME ": is damaged; nothing tells whether the last epochs of the journal are there. It is made anew", d->path);
  if (r == 0) {
    *epoch = scan->epoch_last > *snapshot ? scan->epoch_last : *snapshot;
    if (to->until != 0 && *epoch > to->until) *epoch = to->until;
    if (*epoch > 0 && to->head != NULL) r = to->head(to->ctx, *epoch, l.head, l.head_n, err);
    if (r != 0) tm_journal_scan_fini(d->io, scan);
  }
  d->io->memory(d->io, l.head, 0);
  return r;
}

static int no_snapshot(const struct tm_data_dir *d, const struct tm_snapshot_list *list, uint64_t epoch, struct tm_err *err) {
  char have[TM_SNAPSHOT_KEPT * 24 + 1] = "";
  size_t n = 0;

  if (list->n == 0) return tm_err_set(err, 1, "no-snapshot", "%s: there is no snapshot yet; 'tidemill snapshot make %s' makes one", d->path, d->path);
  for (int i = 0; i < list->n; i++) n += (size_t)snprintf(have + n, sizeof have - n, "%s%" PRIu64, i > 0 ? ", " : "", list->kept[i].epoch);
  return tm_err_set(err, 1, "no-snapshot", "%s: there is no snapshot of epoch %" PRIu64 "; there %s of %s", d->path, epoch,
                    list->n == 1 ? "is that" : "are those", have);
}

int tm_data_load_snapshot(const struct tm_data_dir *d, const struct tm_data_load *to, uint64_t epoch, struct tm_err *err) {
  struct load l = { .io = d->io, .to = to };
  const struct tm_snapshot_visitor visitor = { .ctx = &l, .block = take_bytes, .head = snapshot_head };
  struct tm_snapshot_list list;
  int i = 0, r;

  if (tm_snapshot_list_read(d->io, d->path, d->id, &list, err) != 0) return -1;
  while (epoch != 0 && i < list.n && list.kept[i].epoch != epoch) i++;
  if (i == list.n) return no_snapshot(d, &list, epoch, err);
  r = tm_snapshot_read(d->io, d->path, d->id, &list.kept[i], &visitor, err);
  if (r == 0) r = to->head(to->ctx, list.kept[i].epoch, l.head, l.head_n, err);
  d->io->memory(d->io, l.head, 0);
  return r;
}
