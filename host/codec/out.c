/* out.c - rows of a pipeline, appended to the buffer a sink is fed from (out.h).
 *
 * This is where passing events leave: an event's own bytes (raw), some of its fields (select), or whatever Lua
 * writes between begin and end. Nothing is parsed or escaped here: the bytes come from text that was checked, and
 * the keys of a select were escaped when it was made.
 *
 * The copies are of fixed size wherever the piece is short: at both ends TM_PAD bytes may be read or written too
 * many, which is cheaper than a copy of exactly the right length. An emitter that fails leaves its row half written;
 * its caller rolls the event back. */
#include "out.h"

#include <stdlib.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "csv_write.h"
#include "json_walk.h"
#include "msgpack_json.h"
#include "packed.h"

enum { PREFIX_SHORT = 32 };

static const char empty_object[2 + TM_PAD] = "{}";

/* One field of a select. */
struct select_field {
  const struct tm_cell *cells;
  int32_t prefix_len;
  char prefix[PREFIX_SHORT];      /* ,"key": when it fits */
  char *prefix_long;              /* else here */
  char *packed;                   /* the key as msgpack */
  int32_t packed_len;
  const char *name;               /* in packed */
  int32_t name_len;
};

struct tm_select {
  struct select_field *fields;
  int32_t n;
  int32_t cap;
  const struct tm_csv_out *fits;  /* a sink of CSV whose columns are these fields */
};

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

/* an event's first row */
static void event_begin(struct tm_out *o, struct tm_batch *b, int32_t row) {
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

static inline void row_begin(struct tm_out *o, struct tm_batch *b, int32_t row) {
  if (o->event != row + o->after && row != TM_ROW_EMPTY) event_begin(o, b, row);
}

int32_t tm_out_row_end(struct tm_out *o, struct tm_flow *f) {
  if (o->format == TM_FORMAT_JSON) {
    if (tm_buf_reserve(&o->buf, 1) != 0) return -1;
    o->buf.data[o->buf.len++] = '\n';
  }
  o->rows += 1;
  o->event_rows++;
  if (o->buf.len > o->soft) f->stop = 1;
  return o->event_rows <= o->max_rows && o->buf.len - o->mark <= o->max_bytes ? 0 : -1;
}

int32_t tm_ffi_out_begin(struct tm_out *o, struct tm_batch *b, int32_t row) {
  row_begin(o, b, row);
  o->row = o->buf.len;
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
  row_begin(o, b, row);
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

/* ---- select ---- */

struct tm_select *tm_ffi_select_new(void) { return calloc(1, sizeof(struct tm_select)); }

/* A new field with its key as msgpack. */
static int32_t key_pack(struct select_field *field, const char *key, int32_t key_len) {
  struct tm_buf packed;
  tm_buf_init(&packed, INT32_MAX - TM_PAD);
  memset(field, 0, sizeof *field);
  int32_t rc = tm_msgpack_put_str(&packed, key, key_len);
  field->packed = packed.data;
  field->packed_len = packed.len;
  field->name = packed.data + (packed.len - key_len);
  field->name_len = key_len;
  return rc;
}

int32_t tm_ffi_select_add(struct tm_select *s, const struct tm_cell *cells, const char *key, int32_t key_len) {
  if (s->n == s->cap) {
    int32_t cap = s->cap == 0 ? 8 : s->cap * 2;
    struct select_field *fields = realloc(s->fields, (size_t)cap * sizeof *fields);
    if (fields == NULL) return -1;
    s->fields = fields;
    s->cap = cap;
  }
  struct select_field *field = &s->fields[s->n];
  struct tm_buf text;
  tm_buf_init(&text, INT32_MAX - TM_PAD);
  int32_t rc = tm_buf_put(&text, ",", 1);
  if (rc == 0) rc = tm_ffi_json_string(&text, key, key_len);
  if (rc == 0) rc = tm_buf_put(&text, ":", 1);
  if (rc == 0) rc = key_pack(field, key, key_len);
  if (rc == 0) {
    field->cells = cells;
    field->prefix_len = text.len;
    if (text.len <= PREFIX_SHORT) {
      memcpy(field->prefix, text.data, (size_t)text.len);
    } else if ((field->prefix_long = malloc((size_t)text.len)) != NULL) {
      memcpy(field->prefix_long, text.data, (size_t)text.len);
    } else {
      rc = -1;
    }
  }
  tm_buf_fini(&text);
  if (rc == 0) s->n++;
  return rc;
}

static inline char *short_copy(char *to, const char *s, int32_t n) {
  memcpy(to, s, 32);
  if (__builtin_expect(n > 32, 0)) memcpy(to + 32, s + 32, (size_t)n - 32);
  return to + n;
}

/* A select for a sink of msgpack. */
static int32_t select_packed(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_select *s) {
  uint32_t present = 0;
  for (int32_t i = 0; i < s->n; i++) present += tm_cell_kind(&s->fields[i].cells[row]) != TM_KIND_ABSENT;
  int32_t rc = tm_msgpack_put_map(out, present);
  for (int32_t i = 0; i < s->n && rc == 0; i++) {
    const struct select_field *field = &s->fields[i];
    const struct tm_cell *c = &field->cells[row];
    if (tm_cell_kind(c) == TM_KIND_ABSENT) continue;
    rc = tm_buf_put(out, field->packed, field->packed_len);
    if (rc == 0) rc = tm_cell_row_put(out, b, c, TM_FORMAT_MSGPACK);
  }
  return rc;
}

/* A select of msgpack or CSV as JSON text: most values are written on the spot. */
static int32_t select_text(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_select *s) {
  int32_t start = out->len;
  for (int32_t i = 0; i < s->n; i++) {
    const struct select_field *field = &s->fields[i];
    const struct tm_cell *c = &field->cells[row];
    int kind = tm_cell_kind(c);
    if (kind == TM_KIND_ABSENT) continue;
    if (tm_buf_reserve(out, field->prefix_len + TM_CELL_TEXT_ROOM) != 0) return -1;
    if (field->prefix_len <= PREFIX_SHORT) {
      memcpy(out->data + out->len, field->prefix, PREFIX_SHORT);
    } else {
      memcpy(out->data + out->len, field->prefix_long, (size_t)field->prefix_len);
    }
    char *p = out->data + out->len + field->prefix_len, *end = tm_cell_text(p, b, c);
    out->len = (int32_t)(end - out->data);
    if (__builtin_expect(end != p, 1)) continue;
    int32_t rc = tm_cell_row_put(out, b, c, TM_FORMAT_JSON);
    if (rc != 0) return rc;
  }
  if (out->len == start) return tm_buf_put(out, "{}", 2);
  out->data[start] = '{';  /* in place of the first comma */
  return tm_buf_put(out, "}", 1);
}

/* Are the fields the sink's columns, in their order? */
static int fits(const struct tm_csv_out *csv, const struct tm_select *s) {
  if (!csv->given || csv->names->n != s->n) return 0;
  for (int32_t i = 0; i < s->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(csv->names, i, &len);
    if (len != s->fields[i].name_len || memcmp(name, s->fields[i].name, (size_t)len) != 0) return 0;
  }
  return 1;
}

/* A select for a sink of CSV or lines. */
static int32_t select_csv(struct tm_out *o, const struct tm_batch *b, int32_t row, struct tm_select *s) {
  static struct tm_buf text;
  int32_t rc = -1;
  if (s->fits != o->csv && o->format == TM_FORMAT_CSV && b->format != TM_FORMAT_MSGPACK && fits(o->csv, s)) s->fits = o->csv;
  if (s->fits == o->csv) {
    rc = tm_csv_begin(o);
    for (int32_t i = 0; i < s->n && rc == 0; i++) rc = tm_csv_put_cell(&o->buf, o->csv, b, &s->fields[i].cells[row], i == 0);
    return rc != 0 ? rc : tm_csv_end_put(&o->buf, o->csv);
  }
  if (text.cap_max == 0) tm_buf_init(&text, INT32_MAX - TM_PAD);
  text.len = 0;
  if ((rc = select_text(&text, b, row, s)) != 0) return rc;
  return tm_buf_reserve(&text, 1) != 0 ? -1 : tm_csv_put_json(o, text.data, text.len);
}

/* A select for a sink of another format than JSON, or of events of another one. */
static int32_t select_other(struct tm_out *o, const struct tm_batch *b, int32_t row, struct tm_select *s) {
  if (o->format == TM_FORMAT_MSGPACK) return select_packed(&o->buf, b, row, s);
  return o->format == TM_FORMAT_JSON ? select_text(&o->buf, b, row, s) : select_csv(o, b, row, s);
}

int32_t tm_ffi_out_select(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t row,
                          struct tm_select *s) {
  row_begin(o, b, row);
  if (__builtin_expect((o->format | b->format) != TM_FORMAT_JSON, 0)) {
    int32_t rc = select_other(o, b, row, s);
    return rc != 0 ? rc : tm_out_row_end(o, f);
  }
  const char *raw = b->raw;
  char *start = o->buf.data + o->buf.len, *p = start, *limit = o->buf.data + o->buf.cap;
  const struct select_field *field = s->fields, *last = field + s->n;
  for (; field < last; field++) {
    const struct tm_cell *c = &field->cells[row];
    if (tm_cell_kind(c) == TM_KIND_ABSENT) continue;
    int32_t quote = tm_cell_quoted(c);
    int32_t len = tm_cell_len(c) + 2 * quote;
    if (limit - p < (int64_t)field->prefix_len + len) return -1;
    if (field->prefix_len <= PREFIX_SHORT) {
      memcpy(p, field->prefix, PREFIX_SHORT);
    } else {
      memcpy(p, field->prefix_long, (size_t)field->prefix_len);
    }
    p = short_copy(p + field->prefix_len, raw + c->off - quote, len);
  }
  if (limit - p < 2) return -1;
  if (p == start) *p++ = ',';
  *start = '{';
  *p++ = '}';
  o->buf.len = (int32_t)(p - o->buf.data);
  return tm_out_row_end(o, f);
}
