/* journal_scan.c - what a journal holds: which epochs are complete, where its tail is, and whether something durable is gone.
 *
 * Frames are followed from the oldest segment on, by their sequence. Where a frame is not what is expected, the question is:
 * a write that never came to its end (the torn tail: cut off), or damage to what was acknowledged (refused)? It is damage
 *   - if a later segment has frames: a segment is synced before the next one gets its first frame;
 *   - if a later frame of the same segment says that an epoch is durable which is not complete in what was read;
 *   - if a segment's head is gone but frames that continue the journal lie behind it: heads are synced before frames;
 *   - if a valid frame does not continue the epochs before it (no writer does that).
 * What lies behind the tail is therefore searched byte by byte for frame heads. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "segment.h"
#include "witness.h"

struct scan {
  struct tm_journal_scan *s;
  struct tm_segment_reader r;
  uint64_t id;
  uint64_t sequence;                /* of the last valid frame; 0: none yet */
  uint64_t epoch_open;              /* begun, not ended; 0 none */
  uint64_t open_sequence;           /* of its first frame */
  int known;                        /* the number of the last ended epoch is known */
  int64_t seen;                     /* index of the last segment with a valid frame, or -1 */
  uint64_t stop_segment;            /* 0, or: nothing is looked at from byte stop_at of this segment on */
  int64_t stop_at;
  struct tm_err *err;
};

__attribute__((format(printf, 4, 5))) static void damage(struct scan *c, uint64_t segment, int64_t at, const char *fmt, ...) {
  struct tm_journal_scan *s = c->s;
  char what[320];
  va_list args;

  if (s->damaged) return;
  va_start(args, fmt);
  vsnprintf(what, sizeof what, fmt, args);
  va_end(args);
  s->damaged = 1;
  s->damage_segment = segment;
  s->damage_at = at;
  snprintf(s->damage, sizeof s->damage, "journal.%016" PRIx64 ", byte %" PRId64 ": %s", segment, at, what);
}

/* The frames of the open epoch, all before `sequence`, are no part of anything: 0, or -1 with err. */
static int drop(struct scan *c, uint64_t sequence) {
  struct tm_journal_scan *s = c->s;

  if (s->dropped_n == s->dropped_cap) {
    int64_t cap = s->dropped_cap > 0 ? 2 * s->dropped_cap : 16;
    struct tm_journal_dropped *more = c->r.io->memory(c->r.io, s->dropped, (size_t)cap * sizeof *more);

    if (more == NULL) return tm_err_set(c->err, 1, "no-memory", "no memory to read the journal");
    s->dropped = more;
    s->dropped_cap = cap;
  }
  s->dropped[s->dropped_n++] = (struct tm_journal_dropped){ c->open_sequence, sequence - 1 };
  c->epoch_open = 0;
  return 0;
}

/* A valid frame that follows the one before: what it means for the epochs. 0, or -1 with err. */
static int take(struct scan *c, const struct tm_segment *g, int64_t at, const struct tm_frame *f) {
  struct tm_journal_scan *s = c->s;
  int first = (f->flags & TM_FRAME_FIRST) != 0;

  if (c->epoch_open != 0 && (first || f->type == TM_FRAME_MARK) && drop(c, f->sequence) != 0) return -1;
  if (f->durable_upto > s->durable_upto) s->durable_upto = f->durable_upto;
  if (f->type == TM_FRAME_MARK) {
    if (c->known && f->epoch != s->epoch_last)
      damage(c, g->number, at, "a mark of epoch %" PRIu64 " behind epoch %" PRIu64, f->epoch, s->epoch_last);
    c->known = 1;
    s->epoch_last = f->epoch;
    return 0;
  }
  if (first && c->known && f->epoch != s->epoch_last + 1)
    damage(c, g->number, at, "epoch %" PRIu64 " begins behind epoch %" PRIu64, f->epoch, s->epoch_last);
  else if (!first && (c->known || c->epoch_open != 0) && f->epoch != c->epoch_open)
    damage(c, g->number, at, "epoch %" PRIu64 " goes on without its beginning", f->epoch);
  if (first && s->epoch_first == 0) s->epoch_first = f->epoch;
  if (c->epoch_open == 0) c->open_sequence = f->sequence;
  c->epoch_open = f->epoch;
  if ((f->flags & TM_FRAME_LAST) != 0) {
    c->epoch_open = 0;
    c->known = 1;
    s->epoch_last = f->epoch;
  }
  return 0;
}

/* Where the part of a segment ends that is kept when it is the last one: behind the last epoch or mark that ended in it. */
static void tail_set(struct scan *c, int64_t index, int64_t end, uint64_t sequence) {
  c->s->tail_segment = index;
  c->s->tail_end = end;
  c->s->tail_sequence = sequence;
}

/* All valid frames of one segment: 0, or -1 with err. */
static int segment_frames(struct scan *c, int64_t index) {
  struct tm_journal_scan *s = c->s;
  struct tm_segment *g = &s->segments[index];
  const unsigned char *payload;
  struct tm_frame f;
  int64_t at = TM_SEGMENT_HEAD;
  enum tm_frame_state state;

  for (;;) {
    state = TM_FRAME_NONE;
    if (c->stop_segment == g->number && at >= c->stop_at) break;
    state = tm_segment_frame(&c->r, at, g->salt, c->id, &f, &payload, c->err);
    if (state == TM_FRAME_ERROR) return -1;
    if (state != TM_FRAME_VALID) break;
    if (c->sequence != 0 && f.sequence != c->sequence + 1) {
      if (g->frames > 0) break;
      damage(c, s->segments[c->seen].number, s->segments[c->seen].end,
             "frame %" PRIu64 " is missing; segment %" PRIx64 " begins with frame %" PRIu64, c->sequence + 1, g->number, f.sequence);
    }
    if (g->frames == 0) {
      if (c->known && s->epoch_last > s->durable_upto) s->durable_upto = s->epoch_last;  /* all before was synced */
      g->sequence_first = f.sequence;
      g->epoch_first = f.epoch;
      tail_set(c, index, at, f.sequence - 1);
    }
    if (take(c, g, at, &f) != 0) return -1;
    g->frames++;
    g->epoch_last = f.epoch;
    c->sequence = f.sequence;
    c->seen = index;
    at += TM_FRAME_HEAD + (int64_t)f.length;
    s->closed = f.type == TM_FRAME_MARK;
    if (c->epoch_open == 0) tail_set(c, index, at, f.sequence);
  }
  g->end = at;
  s->bytes += at - TM_SEGMENT_HEAD;
  if (state == TM_FRAME_TORN && g->frames > 0) s->torn_bytes = TM_FRAME_HEAD + (int64_t)f.length;
  return 0;
}

/* The segment at index: its head and frames. 0, or -1 with err. */
static int segment_scan(struct scan *c, const char *dir, int64_t index) {
  struct tm_segment *g = &c->s->segments[index];
  struct tm_segment_head head;
  const unsigned char *p;
  int got = tm_segment_reader_open(&c->r, dir, g->number, c->err);

  if (got <= 0) return got;
  g->size = c->r.size;
  got = tm_segment_reader_get(&c->r, 0, TM_SEGMENT_HEAD, &p, c->err);
  if (got <= 0) return got;
  if (!tm_segment_head_read(p, &head)) return 0;
  if (head.id != c->id)
    return tm_err_set(c->err, 1, "journal-foreign",
                      "%.400s belongs to another data folder (its id is %016" PRIx64 ", here %016" PRIx64
                      "): put the folder's own files back, all of one moment", c->r.path, head.id, c->id);
  if (head.number != g->number) return 0;
  g->salt = head.salt;
  g->end = TM_SEGMENT_HEAD;
  return segment_frames(c, index);
}

/* A frame head found at a place where none is expected: does it tell of something that is gone? */
static void evidence(struct scan *c, const struct tm_segment *g, int64_t break_at, const struct tm_frame *f) {
  struct tm_journal_scan *s = c->s;

  if (f->id != c->id || (g->end > 0 && f->salt != g->salt)) return;
  if (f->durable_upto > s->epoch_last)
    damage(c, g->number, break_at,
           "what was written there is damaged: epoch %" PRIu64 " is said to be durable behind it, but the last complete one is %" PRIu64,
           f->durable_upto, s->epoch_last);
  else if (g->end == 0 && f->sequence > c->sequence)
    damage(c, g->number, 0, "the segment's head is damaged, and frame %" PRIu64 " of it cannot be trusted", f->sequence);
}

/* Looks for frame heads behind what was valid, in the tail and in all segments after it. 0, or -1 with err. */
static int search(struct scan *c, const char *dir, int64_t index) {
  enum { STEP = 1 << 20 };
  struct tm_segment *g = &c->s->segments[index];
  int64_t at = g->end, n;
  const unsigned char *p;
  struct tm_frame f;
  int got = tm_segment_reader_open(&c->r, dir, g->number, c->err);

  if (got <= 0) return got;
  for (; at + TM_FRAME_HEAD <= c->r.size && !c->s->damaged; at += n - TM_FRAME_HEAD + 1) {
    n = c->r.size - at < STEP ? c->r.size - at : STEP;
    got = tm_segment_reader_get(&c->r, at, n, &p, c->err);
    if (got <= 0) return got;
    for (size_t i = tm_frame_find(p, 0, (size_t)n); (int64_t)i + TM_FRAME_HEAD <= n; i = tm_frame_find(p, i + 1, (size_t)n)) {
      if (tm_frame_read(p + i, &f)) evidence(c, g, g->end, &f);
    }
  }
  return 0;
}

/* What is cut off: valid frames behind the tail's end, and the frame that was torn. */
static void torn_count(struct tm_journal_scan *s) {
  if (s->tail_segment >= 0) s->torn_bytes += s->segments[s->tail_segment].end - s->tail_end;
}

int tm_journal_scan_until(const struct tm_io *io, const char *dir, uint64_t id, uint64_t segment, int64_t at,
                          struct tm_journal_scan *scan, struct tm_err *err) {
  struct scan c = { .s = scan, .id = id, .seen = -1, .err = err, .stop_segment = segment, .stop_at = at };
  uint64_t witness;
  int64_t i;
  int r = -1;

  memset(scan, 0, sizeof *scan);
  scan->tail_segment = -1;
  /* first: a journal in use goes on meanwhile */
  scan->witness = tm_witness_read(io, dir, id, &witness, err);
  if (scan->witness < 0) return -1;
  if (tm_segment_reader_init(&c.r, io, err) != 0) return -1;
  if (tm_segments_list(io, dir, scan, err) != 0) goto end;
  for (i = 0; i < scan->segments_n && (segment == 0 || scan->segments[i].number <= segment); i++) {
    scan->torn_bytes = 0;
    if (segment_scan(&c, dir, i) != 0) goto end;
  }
  scan->sequence_last = c.sequence;
  if (scan->closed && scan->epoch_last > scan->durable_upto) scan->durable_upto = scan->epoch_last;
  if (segment == 0 && !scan->damaged && c.seen >= 0 && witness > scan->epoch_last) {
    scan->durable_upto = witness;
    damage(&c, scan->segments[c.seen].number, scan->segments[c.seen].end,
           "epoch %" PRIu64 " was durable, as the file '" TM_WITNESS_NAME "' says, but the last one there is %" PRIu64
           ": segments were removed, cut off, or come from an older copy", witness, scan->epoch_last);
  }
  if (segment == 0 && !scan->damaged && scan->durable_upto > scan->epoch_last)
    damage(&c, scan->segments[c.seen].number, scan->segments[c.seen].end, "epoch %" PRIu64 " was durable and is not complete", scan->durable_upto);
  for (i = c.seen >= 0 ? c.seen : 0; i < scan->segments_n && !scan->damaged && segment == 0; i++) {
    if (search(&c, dir, i) != 0) goto end;
  }
  torn_count(scan);
  r = 0;
end:
  tm_segment_reader_fini(&c.r);
  if (r != 0) tm_journal_scan_fini(io, scan);
  return r;
}

int tm_journal_scan(const struct tm_io *io, const char *dir, uint64_t id, struct tm_journal_scan *scan, struct tm_err *err) {
  return tm_journal_scan_until(io, dir, id, 0, 0, scan, err);
}

void tm_journal_scan_fini(const struct tm_io *io, struct tm_journal_scan *scan) {
  io->memory(io, scan->segments, 0);
  io->memory(io, scan->dropped, 0);
  memset(scan, 0, sizeof *scan);
  scan->tail_segment = -1;
}
