/* turns.c - events of sliding windows that wait until the watermark has passed them, and have their turn in order of time.
 *
 * What waits is the key and the values of an event (../state/queue.h); its key's record is met when it has its turn. An event whose
 * values all lie in columns needs nothing of Lua to wait: rows of a batch are held many at a time, and those that come due with
 * them have their turns behind that. Which row made an event due is found then, from the watermark behind each row: the first that is
 * not before the event. So what is seen is the same as if each row had been followed by its turns. */
#include <math.h>

#include "../base/err.h"
#include "../codec/cell.h"
#include "../state/queue.h"
#include "slide.h"

int32_t tm_ffi_turns_new(struct tm_slide *p, struct tm_state *s) {
  return tm_queue_init(tm_table_of(s), p->cells - 1) == 0 ? 0 : TM_STATE_NO_MEMORY;
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
    if (tm_queue_put(table, &seek, t, p->in + 1) != 0) break;
    tm_ffi_changes_commit(&table->log->pub);
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

/* The turn that failed is taken without being shown: 0, or GONE, as there is no memory for it and it is lost. */
static int32_t pass(struct tm_slide *p, struct tm_state *s, const struct tm_queued *e) {
  struct tm_changes *c = &tm_table_of(s)->log->pub;
  void *record;
  int32_t code = enter(p, s, e, &record);
  /* what makes no result is in its window all the same; what the state has no place for is not */
  if (code < 0 && code != TM_STATE_TYPE) tm_ffi_changes_rollback(c, 0);
  else tm_ffi_changes_commit(c);
  tm_queue_drop(tm_table_of(s));
  return code == TM_STATE_NO_MEMORY ? TM_STATE_GONE : 0;
}

void *tm_ffi_turns_next(struct tm_slide *p, struct tm_state *s, double upto, struct tm_slide_rows *rows) {
  struct tm_table *t = tm_table_of(s);
  for (;;) {
    const struct tm_queued *e = tm_queue_first(t, upto);
    if (e == NULL) return NULL;
    p->time = e->time;
    if (rows != NULL) {
      for (; rows->at < rows->to && rows->marks[rows->at] < e->time; rows->at++) rows->before = rows->marks[rows->at];
      rows->w = rows->marks[rows->at];
    }
    int first = tm_queue_take(t);
    if (first < 0) {
      s->code = TM_STATE_NO_MEMORY;
      return NULL;
    }
    if (first == 0) {
      tm_ffi_changes_rollback(&t->log->pub, 0);
      if ((s->code = pass(p, s, e)) < 0) return NULL;
      continue;
    }
    void *record;
    s->code = enter(p, s, e, &record);
    return s->code < 0 ? NULL : record;
  }
}
