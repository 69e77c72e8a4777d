/* journal_replay.c - the payloads of complete epochs, in order, from what a scan judged.
 *
 * The scan knows which epochs are whole before the first byte of any is given on, so nobody has to take back what it got.
 * Frames are checked again: between the two the file is the disk's. */
#include <inttypes.h>
#include <stdio.h>

#include "segment.h"

struct replay {
  struct tm_segment_reader r;
  const struct tm_journal_scan *scan;
  uint64_t id, after, upto;
  int64_t dropped;                  /* index of the next range of frames that are no part of anything */
  tm_journal_piece *piece;
  void *ctx;
};

static int is_dropped(struct replay *y, uint64_t sequence) {
  const struct tm_journal_scan *s = y->scan;

  while (y->dropped < s->dropped_n && s->dropped[y->dropped].last < sequence) y->dropped++;
  return y->dropped < s->dropped_n && s->dropped[y->dropped].first <= sequence;
}

/* One segment's frames up to its end, or the tail's: 0 go on, 1 all was given, -1 with err. */
static int segment_replay(struct replay *y, int64_t index, struct tm_err *err) {
  const struct tm_segment *g = &y->scan->segments[index];
  int64_t end = index == y->scan->tail_segment ? y->scan->tail_end : g->end, at = TM_SEGMENT_HEAD;
  const unsigned char *payload;
  struct tm_frame f;
  int last;

  while (at < end) {
    enum tm_frame_state state = tm_segment_frame(&y->r, at, g->salt, y->id, &f, &payload, err);

    if (state == TM_FRAME_ERROR) return -1;
    if (state != TM_FRAME_VALID)
      return tm_err_set(err, 1, "journal-changed", "%.400s, byte %" PRId64 ": the frame that was there is not any more; "
                        "is another process using the folder?", y->r.path, at);
    at += TM_FRAME_HEAD + (int64_t)f.length;
    if (f.type == TM_FRAME_MARK || f.epoch <= y->after || is_dropped(y, f.sequence)) continue;
    if (f.epoch > y->upto) return 1;
    last = (f.flags & TM_FRAME_LAST) != 0;
    if (y->piece(y->ctx, f.epoch, payload, f.length, last, err) != 0) return -1;
  }
  return 0;
}

int tm_journal_replay(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_journal_scan *scan, uint64_t after,
                      uint64_t upto, tm_journal_piece *piece, void *ctx, struct tm_err *err) {
  struct replay y = { .scan = scan, .id = id, .after = after, .upto = upto, .piece = piece, .ctx = ctx };
  int r = 0;

  if (upto > scan->epoch_last) upto = y.upto = scan->epoch_last;
  if (upto <= after) return 0;
  if (scan->epoch_first == 0 || scan->epoch_first > after + 1)
    return tm_err_set(err, 1, "journal-short",
                      "%.400s: the journal begins with epoch %" PRIu64 ", but epochs from %" PRIu64
                      " on are needed: segments or a snapshot are missing; put them back from a copy of the folder",
                      dir, scan->epoch_first, after + 1);
  if (tm_segment_reader_init(&y.r, io, err) != 0) return -1;
  for (int64_t i = 0; i <= scan->tail_segment && r == 0; i++) {
    if (scan->segments[i].frames == 0 || scan->segments[i].epoch_last <= after) continue;
    r = tm_segment_reader_open(&y.r, dir, scan->segments[i].number, err);
    if (r == 0) r = tm_err_set(err, 1, "journal-changed", "%.400s is gone; is another process using the folder?", y.r.path);
    else if (r == 1) r = segment_replay(&y, i, err);
  }
  tm_segment_reader_fini(&y.r);
  return r < 0 ? -1 : 0;
}

int tm_journal_recover(const struct tm_io *io, const char *dir, uint64_t id, uint64_t after, tm_journal_piece *piece, void *ctx,
                       struct tm_journal_scan *scan, struct tm_err *err) {
  int r;

  if (tm_journal_scan(io, dir, id, scan, err) != 0) return -1;
  r = tm_journal_refuse(dir, scan, after, err);
  if (r == 0) r = tm_journal_replay(io, dir, id, scan, after, UINT64_MAX, piece, ctx, err);
  if (r != 0) tm_journal_scan_fini(io, scan);
  return r;
}

int tm_journal_refuse(const char *dir, const struct tm_journal_scan *scan, uint64_t after, struct tm_err *err) {
  if (scan->damaged)
    return tm_err_set(err, 1, "journal-damaged",
                      "the journal is damaged: %s. Something that was acknowledged is lost there. Put back a copy of the whole folder, or "
                      "go on with what is before the damage: tidemill journal repair --accept-loss %.200s", scan->damage, dir);
  if (scan->epoch_last < after)
    return tm_err_set(err, 1, "journal-damaged",
                      "the journal is damaged: it ends with epoch %" PRIu64 ", but a snapshot holds epoch %" PRIu64
                      ": segments are missing. Put back a copy of the whole folder, or go on with what is there: "
                      "tidemill journal repair --accept-loss %.200s", scan->epoch_last, after, dir);
  return 0;
}
