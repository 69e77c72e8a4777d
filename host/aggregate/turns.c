/* turns.c - events of sliding windows that wait until the watermark has passed them, and have their turn in order of time.
 *
 * What waits is the key and the values of an event (../state/queue.h); its key's record is met when it has its turn. A turn stands when
 * it is over, whatever becomes of its row: an event whose row fails is in its window all the same.
 * Where all aggregates are numbers that give back what they took, windows move over all keys at once: what has had its turn is an
 * entry in one row (../state/stay.h), and before a turn those leave that are too old for it. Else the entries are the record's (slide.c).
 *
 *   put ──> queue (watermark) ──> turn: + into its key's record ──> stay (size) ──> - out of it, which goes when nothing is left
 *
 * An event whose
 * values all lie in columns needs nothing of Lua to wait: rows of a batch are held many at a time, and those that come due with
 * them have their turns behind that. Which row made an event due is found then, from the watermark behind each row: the first that is
 * not before the event. So what is seen is the same as if each row had been followed by its turns. */
#include <math.h>

#include "../base/err.h"
#include "../codec/cell.h"
#include "../state/queue.h"
#include "../state/stay.h"
#include "slide.h"

enum { LEAVE_SLICE = 512 };

int32_t tm_ffi_turns_new(struct tm_slide *p, struct tm_state *s) {
  struct tm_table *t = tm_table_of(s);
  int32_t values = tm_queue_values(t), place = p->at + TM_MOVING_NUMBER;
  /* of a state that was put back */
  if (values >= 0 && (values != p->cells - 1 || (t->stay != NULL) != (p->moving != 0))) return TM_STATE_TYPE;
  if (!tm_stay_fits(t, p->cells, p->longest, place)) return TM_STATE_TYPE;
  if (tm_queue_init(t, p->cells - 1) != 0) return TM_STATE_NO_MEMORY;
  if (!p->moving || tm_stay_init(t, p->cells, p->longest, place) == 0) return 0;
  return TM_STATE_NO_MEMORY;
}

int32_t tm_ffi_turns_hold(struct tm_slide *p, struct tm_state *s, const struct tm_key *k, double t) {
  struct tm_table *table = tm_table_of(s);
  struct tm_seek seek = tm_seek_key(table->log, k->bytes, (uint32_t)k->len);
  return tm_queue_put(table, &seek, t, p->in + 1);
}

int32_t tm_ffi_turns_hold_row(struct tm_slide *p, struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols,
                              int32_t row, double t) {
  struct tm_table *table = tm_table_of(s);
  struct tm_seek seek;
  int32_t code = tm_row_seek(table->log->key, b, cols, row, &seek);
  if (code != 0) return code;
  tm_seek_hash(table->log, &seek);
  return tm_queue_put(table, &seek, t, p->in + 1);
}

/* ---- many rows ---- */

static double watermark(const struct tm_clock *c, double highest) {
  double w = highest - c->distance;
  if (w > c->cap) w = c->cap;
  return w < c->low ? c->low : w;
}

/* The values of a row, if all are numbers or not there. */
static int row_read(const struct tm_slide *p, const struct tm_slide_rows *r, int32_t row) {
  for (int32_t c = 1; c < p->cells; c++) {
    const struct tm_cell *cell = r->cells[c] == NULL ? NULL : r->cells[c] + row;
    p->in[c].kind = TM_VALUE_NIL;
    if (cell == NULL) continue;
    int kind = tm_cell_kind(cell);
    if (kind == TM_KIND_ABSENT || kind == TM_KIND_NULL) continue;
    if (!(cell->num - cell->num == 0)) return 0;
    p->in[c].num = cell->num;
    p->in[c].kind = TM_VALUE_NUMBER;
  }
  return 1;
}

int32_t tm_ffi_turns_hold_rows(struct tm_slide *p, struct tm_state *s, const struct tm_batch *b, struct tm_slide_rows *r, int32_t first,
                               int32_t last) {
  struct tm_table *table = tm_table_of(s);
  struct tm_clock *c = r->clock;
  double most = b->received_ms + r->ahead;
  int32_t row = first;
  r->from = r->at = first;
  for (; row <= last && b->status[row] == TM_LINE_OK; row++) {
    struct tm_seek seek;
    double t = r->times[row], w = watermark(c, c->highest);
    if (!(t > w && t <= most) || !row_read(p, r, row)) break;
    if (tm_row_seek(table->log->key, b, r->key, row, &seek) != 0) break;
    tm_seek_hash(table->log, &seek);
    if (tm_queue_put_now(table, &seek, t, p->in + 1) != 0) break;
    if (row == first) r->before = w;
    if (t > c->highest) c->highest = t;
    c->w = r->marks[row] = watermark(c, c->highest);
  }
  r->to = row - 1;
  return row - first;
}

void tm_ffi_turns_count(struct tm_slide_rows *r, struct tm_out_tally *t, struct tm_marker *m, int32_t to) {
  for (; r->from <= to; r->from++) {
    m->row = r->from;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->before = t->events;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->event = r->from;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->events = t->before + 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
}

/* ---- a turn ---- */

/* ---- windows that move over all keys ---- */

static struct tm_slider moving_of(struct tm_slide *p, struct tm_state *s, void *record) {
  return (struct tm_slider){.p = p, .s = s, .t = tm_table_of(s), .record = record, .num = record};
}

/* TM_MOVING_ENTRIES and TM_MOVING_NUMBER of its record */
static double *moving_state(const struct tm_slider *w) { return w->num + w->p->at; }

/* all parts take the entry in (sign 1) or give it back (-1): 0 or a code */
static int32_t parts_change(const struct tm_slider *w, const uint64_t *entry, int sign) {
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    int32_t code = tm_part_change(w, w->p->parts + i, entry, sign);
    if (code == 0) continue;
    w->p->wrong = i;
    return code;
  }
  return 0;
}

/* An entry leaves its key's record, which goes with the last one: 0 or NO_MEMORY. */
static int32_t entry_leave(struct tm_slide *p, struct tm_state *s, const struct tm_stayed *e) {
  struct tm_table *t = tm_table_of(s);
  uint32_t at = tm_stay_item(t, e);
  if (at == 0) return 0;
  struct tm_slider w = moving_of(p, s, tm_record_at(t, at));
  if (moving_state(&w)[TM_MOVING_ENTRIES] == 1) {
    tm_table_drop(t, at, e->hash);
    return 0;
  }
  int32_t code = tm_ffi_state_announce(s, w.record);
  if (code != 0) return code;
  moving_state(&w)[TM_MOVING_ENTRIES]--;
  return parts_change(&w, e->cells, -1);
}

/* What the window behind an event at `now` does not hold leaves: 0, MORE, NO_MEMORY or GONE. Each entry by itself, as this has to be done
 * whatever becomes of the event. */
static int32_t leave(struct tm_slide *p, struct tm_state *s, double now) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_stayed *e;
  for (int32_t n = 0; (e = tm_stay_leaving(t, now)) != NULL; n++) {
    if (n == LEAVE_SLICE) return TM_STATE_MORE;
    int32_t code = entry_leave(p, s, e);
    if (code != 0) {
      tm_ffi_changes_rollback(&t->log->pub, 0);
      code = p->again ? TM_STATE_GONE : TM_STATE_NO_MEMORY;
      p->again = 1;
      return code;
    }
    tm_changes_seal(t->log);
    tm_stay_drop(t);
  }
  return 0;
}

static int32_t enter_moving(struct tm_slide *p, struct tm_state *s, const struct tm_queued *e, void **record) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek k = tm_queued_key(e);
  union tm_tagged time = {.num = e->time};
  struct tm_stayed *entry = tm_stay_room(t);
  if (entry == NULL) return TM_STATE_NO_MEMORY;
  *record = tm_table_write(t, &k, tm_table_find(t, &k));
  if (*record == NULL) return t->pub.code;
  struct tm_slider w = moving_of(p, s, *record);
  double *st = moving_state(&w);
  if (t->pub.code == TM_STATE_NEW) st[TM_MOVING_NUMBER] = tm_stay_number(t);
  st[TM_MOVING_ENTRIES]++;
  entry->hash = k.hash;
  entry->number = (uint32_t)st[TM_MOVING_NUMBER];
  entry->cells[0] = time.bits;
  for (int32_t c = 1; c < p->cells; c++) entry->cells[c] = e->values[c - 1];
  return parts_change(&w, entry->cells, 1);
}

/* The event enters its key's record: 0 or a code. */
static int32_t enter(struct tm_slide *p, struct tm_state *s, const struct tm_queued *e, void **record) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek k = tm_queued_key(e);
  for (int32_t c = 1; c < p->cells; c++) tm_queued_value(e, c - 1, p->in + c);
  p->wrong = -1;
  *record = tm_table_write(t, &k, tm_table_find(t, &k));
  if (*record == NULL) return t->pub.code;
  struct tm_slider w = tm_slider_of(p, s, *record);
  return tm_slider_turn(&w, e->time);
}

/* The event has its turn, and that stands: the log is empty behind it. What makes no result is in its window all the same; what the
 * state has no place for is not. Where there is no memory it is tried a second time, when the row of the first has failed: 0, TYPE,
 * another code, or GONE. */
static int32_t take(struct tm_slide *p, struct tm_state *s, const struct tm_queued *e, void **record) {
  struct tm_table *t = tm_table_of(s);
  p->wrong = -1;
  int32_t code = (p->moving ? enter_moving : enter)(p, s, e, record);
  if (code < 0 && code != TM_STATE_TYPE) tm_ffi_changes_rollback(&t->log->pub, 0);
  else tm_changes_seal(t->log);
  if (code >= 0 && p->moving) tm_stay_add(t);
  int32_t again = code == TM_STATE_NO_MEMORY && !p->again;
  if (!again) tm_queue_take(t);
  if (code == TM_STATE_NO_MEMORY && p->again) code = TM_STATE_GONE;
  p->again = again;
  return code;
}

void *tm_ffi_turns_next(struct tm_slide *p, struct tm_state *s, double upto, struct tm_slide_rows *rows) {
  struct tm_table *t = tm_table_of(s);
  if (t->log->owed && t->log->pub.care) tm_ffi_changes_commit(&t->log->pub);
  for (;;) {
    const struct tm_queued *e = tm_queue_first(t, upto);
    if (e == NULL) return NULL;
    p->time = e->time;
    if (rows != NULL) {
      for (; rows->at < rows->to && rows->marks[rows->at] < e->time; rows->at++) rows->before = rows->marks[rows->at];
      rows->w = rows->marks[rows->at];
    }
    void *record = NULL;
    int32_t failed = p->again;
    s->code = p->moving ? leave(p, s, e->time) : 0;
    if (s->code == 0) s->code = take(p, s, e, &record);
    if (s->code < 0 || s->code == TM_STATE_MORE) return NULL;
    if (!failed) return record;
  }
}
