/* out.c - rows of a pipeline, appended to the buffer a sink is fed from (out.h).
 *
 * This is where passing events leave: an event's own bytes (raw), or whatever others write between begin and end (select.c
 * some of its fields, json_row.c what a script wrote). Nothing is parsed or escaped here: the bytes come from text that
 * was checked. An emitter that fails leaves its row half written; its caller rolls the event back. */
#include "out.h"

#include <math.h>
#include <stdlib.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "columns.h"
#include "csv_write.h"
#include "json_walk.h"
#include "msgpack_json.h"
#include "packed.h"

static const double TIME_MOST = 9e15;   /* whole in a double */
static const char empty_object[2 + TM_PAD] = "{}";

/* ---- the buffer's life ---- */

void tm_out_init(struct tm_out *o, char *data, int32_t cap, int32_t soft, int32_t max_rows, int32_t max_bytes,
                 struct tm_out_event *events) {
  memset(o, 0, sizeof *o);
  tm_buf_init_fixed(&o->buf, data, cap);
  o->event = -1;
  o->events = events;
  o->soft = soft;
  o->max_rows = max_rows;
  o->max_bytes = max_bytes;
  o->time = NAN;
}

void tm_out_batch_reset(struct tm_out *o) {
  o->event = -1;
  o->event_rows = 0;
  o->mark = o->buf.len;
  o->events_n = 0;
}

void tm_out_rollback(struct tm_out *o, int32_t event) {
  if (o->event != event) return;
  o->buf.len = o->mark;
  o->rows = o->rows_mark;
  o->event_rows = 0;
  /* an entry shared with an earlier row of the same source event begins before the mark and stays */
  if (o->events_n > 0 && o->events[o->events_n - 1].off >= o->mark) o->events_n--;
  o->time = NAN;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  o->event = -1;  /* last: until then it can be done again */
}

/* ---- rows ---- */

/* Counts an event with its first row in any of a pipeline's outs. `before` is filled first, so that taking it back, at
 * whichever store a death struck, ends with that. */
static void tally_begin(struct tm_out_tally *t, int32_t row) {
  if (t->event == row) return;
  t->before = t->events;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  t->event = row;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  t->events = t->before + 1;
}

void tm_out_tally_rollback(struct tm_out_tally *t, int32_t row) {
  if (t->event != row) return;
  t->events = t->before;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  t->event = -1;
}

void tm_ffi_late(struct tm_out_tally *t, int32_t row) {
  if (t->late_event != row) {
    t->late_before = t->late;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->late_event = row;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
  t->late += 1;
}

void tm_ffi_missed(struct tm_out_tally *t, int32_t row, int32_t mistyped) {
  if (t->missed_event != row) {
    t->missed_before = t->missed;
    t->mistyped_before = t->mistyped;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->missed_event = row;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
  t->missed += 1;
  t->mistyped += mistyped;
}

void tm_out_missed_rollback(struct tm_out_tally *t, int32_t row) {
  if (t->missed_event != row) return;
  t->missed = t->missed_before;
  t->mistyped = t->mistyped_before;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  t->missed_event = -1;
}

void tm_out_late_rollback(struct tm_out_tally *t, int32_t row) {
  if (t->late_event != row) return;
  t->late = t->late_before;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  t->late_event = -1;
}

void tm_out_event_begin(struct tm_out *o, struct tm_batch *b, int32_t row) {
  int32_t origin = b->origin[row];
  o->mark = o->buf.len;
  o->event_rows = 0;
  o->rows_mark = o->rows;
  if (o->tally != NULL && o->after == 0) tally_begin(o->tally, row);
  if (o->events_n == 0 || o->events[o->events_n - 1].event != origin) {
    TM_ASSERT(o->events_n < TM_BATCH_ROWS);
    o->events[o->events_n] = (struct tm_out_event){origin, o->mark};
    /* an entry that is counted before it is written is, after a death in between, one of an earlier batch */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    o->events_n++;
  }
  /* last: whoever takes up after a death rolls back to a mark that is this event's */
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  o->event = row + o->after;
}

/* The row's time behind its text: a tab and ms since 1970, or the tab alone. */
static int time_put(struct tm_out *o) {
  double t = o->time;
  char digits[24];
  int32_t n = 0;
  o->time = NAN;
  if (tm_buf_reserve(&o->buf, (int32_t)sizeof digits + 1) != 0) return -1;
  o->buf.data[o->buf.len++] = '\t';
  if (!(t > -TIME_MOST && t < TIME_MOST)) return 0;
  int64_t ms = (int64_t)floor(t);
  uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
  do digits[n++] = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (ms < 0) o->buf.data[o->buf.len++] = '-';
  while (n > 0) o->buf.data[o->buf.len++] = digits[--n];
  return 0;
}

int32_t tm_out_row_end(struct tm_out *o, struct tm_flow *f) {
  if (o->timed && time_put(o) != 0) return -1;
  if (o->format == TM_FORMAT_JSON) {
    if (tm_buf_reserve(&o->buf, 1) != 0) return -1;
    o->buf.data[o->buf.len++] = '\n';
    if (o->columns != NULL) {
      int32_t rc = tm_columns_check(o->columns, o->buf.data + o->row, o->buf.len - 1 - o->row, o->rows == 0);
      if (rc != 0) return rc;
    }
    o->row = o->buf.len;  /* where its maker may begin another one */
  }
  o->rows += 1;
  o->event_rows++;
  if (o->buf.len > o->soft) f->stop = 1;
  return o->event_rows <= o->max_rows && o->buf.len - o->mark <= o->max_bytes ? 0 : -1;
}

int32_t tm_ffi_out_begin(struct tm_out *o, struct tm_batch *b, int32_t row) {
  tm_out_row_begin(o, b, row);
  return 0;
}

static int is_text(int32_t format) { return format == TM_FORMAT_CSV || format == TM_FORMAT_LINES; }

/* Makes of the JSON text from o->row on what the sink wants. */
static int32_t row_convert(struct tm_out *o) {
  static struct tm_buf text;
  if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
  int32_t rc = is_text(o->format) ? tm_ffi_note_clean(&o->buf, o->row) : 0;
  if (rc != 0) return rc;
  int32_t len = o->buf.len - o->row;
  text.len = 0;
  if (tm_buf_put(&text, o->buf.data + o->row, len) != 0) return -1;
  o->buf.len = o->row;
  return is_text(o->format) ? tm_csv_put_json(o, text.data, len) : tm_msgpack_from_json(&o->buf, text.data, len);
}

int32_t tm_ffi_out_end(struct tm_out *o, struct tm_flow *f) {
  int32_t rc = o->format == TM_FORMAT_JSON ? tm_ffi_note_clean(&o->buf, o->row) : row_convert(o);
  return rc != 0 ? rc : tm_out_row_end(o, f);
}

/* The event as JSON text for others, appended. */
static int32_t event_text(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_types *types) {
  const char *event = b->raw + b->off[row];
  if (tm_csv_batch(b)) return tm_csv_text(out, b, row, types);
  return b->format == TM_FORMAT_JSON ? tm_buf_put(out, event, b->len[row]) : tm_msgpack_to_json(out, event, 0);
}

/* The event in another format than its own. */
static int32_t raw_convert(struct tm_out *o, const struct tm_batch *b, int32_t row, const struct tm_types *types) {
  static struct tm_buf text;
  if (o->format == TM_FORMAT_JSON) return event_text(&o->buf, b, row, types);
  if (o->format == TM_FORMAT_MSGPACK && b->format == TM_FORMAT_JSON) return tm_msgpack_from_json(&o->buf, b->raw + b->off[row], b->len[row]);
  if (is_text(o->format) && tm_csv_batch(b)) return tm_csv_put_row(o, b, row);
  if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
  text.len = 0;
  int32_t rc = event_text(&text, b, row, types);
  if (rc != 0 || tm_buf_reserve(&text, 1) != 0) return rc != 0 ? rc : -1;
  return is_text(o->format) ? tm_csv_put_json(o, text.data, text.len) : tm_msgpack_from_json(&o->buf, text.data, text.len);
}

int32_t tm_ffi_out_raw(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t row, const struct tm_types *types) {
  tm_out_row_begin(o, b, row);
  int32_t rc;
  if (row == TM_ROW_EMPTY) {
    if (o->format == TM_FORMAT_MSGPACK) rc = tm_msgpack_put_map(&o->buf, 0);
    else rc = is_text(o->format) ? tm_csv_put_json(o, empty_object, 2) : tm_buf_put(&o->buf, empty_object, 2);
  } else if (o->format == b->format && !is_text(o->format)) {
    rc = tm_buf_put(&o->buf, b->raw + b->off[row], b->len[row]);
  } else {
    rc = raw_convert(o, b, row, types);
  }
  return rc != 0 ? rc : tm_out_row_end(o, f);
}

/* Can this format carry the member's value, with the note in front of it? */
static int can_carry(struct tm_buf *to, const char *text, const struct tm_cell *value, int32_t format) {
  int32_t quoted = tm_cell_quoted(value), off = value->off - quoted, end = value->off + tm_cell_len(value) + quoted;
  if (off >= TM_NOTE && tm_note_at(text + off - TM_NOTE)) off -= TM_NOTE;
  to->len = 0;
  int32_t rc = format == TM_FORMAT_MSGPACK ? tm_msgpack_from_json(to, text + off, end - off) : tm_note_clean(to, text + off, end - off);
  return rc != -2;
}

int32_t tm_ffi_out_fault(const char *text, int32_t len, int32_t format, struct tm_buf *name) {
  static struct tm_buf to;
  struct tm_json_members members;
  struct tm_cell key, value;
  if (to.cap_max == 0) tm_buf_init(&to, INT32_MAX - TM_PAD);
  tm_json_members_init(&members, text, len);
  while (tm_json_members_next(&members, &key, &value)) {
    if (can_carry(&to, text, &value, format)) continue;
    return tm_ffi_json_unescape(text + key.off, tm_cell_len(&key), name) == 0;
  }
  return 0;
}
