/* top.c - the lists of the step `top`: the n events of a key that rank first, and their rows.
 *
 *   order    list of numbers    rank -> slot
 *   numbers  list of numbers    slot -> what it ranks by (or texts, list of strings)
 *   times    list of numbers    slot -> the event's time
 *   events   list of strings    slot -> the event as JSON text
 *
 * An event that enters writes one slot and moves ranks; a full list gives the slot of its last rank to it. The record's own cells
 * (struct top_record, named in lua/tidemill/operators.lua) hold what that last rank is, so that an event which does not enter
 * costs one comparison in the loop. All changes go through the calls of lists, which log them.
 *
 * Each change sends the whole list, so rows are written here, from the kept texts: as they are with rank and revision behind, or
 * some of their fields. Texts with notes or with names that stand twice, or escaped, are left to Lua (1), with nothing written. */
#include "../codec/member.h"
#include "../codec/note.h"
#include "../codec/number_text.h"
#include "../codec/out.h"

enum { ORDER, NUMBERS, TEXTS, TIMES, EVENTS };
enum { MEMBERS_MAX = 48, LUA = 1 };

struct top_record {
  double n, kind, worst, worst_at, revision, at;
};

/* ---- who enters ---- */

struct list {
  struct tm_state *state;
  void *record;
  int32_t field;                  /* NUMBERS or TEXTS */
  int32_t desc;
  int32_t digits;                 /* 1: the texts are digits of integers of 64 bits */
};

static int32_t number_get(const struct list *l, int32_t field, double i, double *v) {
  struct tm_value got;
  int32_t rc = tm_ffi_list_get(l->state, l->record, field, i, &got);
  *v = got.num;
  return rc;
}

/* Sets element i of a list that has n of them, i - 1 at least. */
static int32_t put(const struct list *l, int32_t field, double i, double n, const struct tm_value *v) {
  return i > n ? tm_ffi_list_push(l->state, l->record, field, v) : tm_ffi_list_set(l->state, l->record, field, i, v);
}

static int32_t number_put(const struct list *l, int32_t field, double i, double n, double v) {
  struct tm_value number = {.kind = TM_VALUE_NUMBER, .num = v};
  return put(l, field, i, n, &number);
}

static int64_t integer_of(const struct tm_value *v) {
  char text[32];
  int32_t n = v->len < (int32_t)sizeof text - 1 ? v->len : (int32_t)sizeof text - 1;
  memcpy(text, v->text, (size_t)n);
  text[n] = 0;
  return strtoll(text, NULL, 10);
}

static int compare(const struct list *l, const struct tm_value *a, const struct tm_value *b) {
  if (l->field == NUMBERS) return (a->num > b->num) - (a->num < b->num);
  if (l->digits) {
    int64_t x = integer_of(a), y = integer_of(b);
    return (x > y) - (x < y);
  }
  int rc = memcmp(a->text, b->text, (size_t)(a->len < b->len ? a->len : b->len));
  return rc != 0 ? rc : (a->len > b->len) - (a->len < b->len);
}

/* Does v at that time come before what is in `slot`? Equal in both: it came later. 1, 0, or a negative code. */
static int32_t before(const struct list *l, const struct tm_value *v, double time, double slot) {
  struct tm_value other;
  double other_time;
  int32_t rc = tm_ffi_list_get(l->state, l->record, l->field, slot, &other);
  if (rc < 0 || (rc = number_get(l, TIMES, slot, &other_time)) < 0) return rc;
  int order = compare(l, v, &other);
  if (order == 0) return time < other_time;
  return (order > 0) == l->desc;
}

/* Moves the ranks behind the place of v by one: *rank is that place. */
static int32_t make_place(const struct list *l, const struct tm_value *v, double time, double *rank, double places) {
  for (; *rank >= 1; *rank -= 1) {
    double slot;
    int32_t rc = number_get(l, ORDER, *rank, &slot);
    if (rc < 0 || (rc = before(l, v, time, slot)) < 0) return rc;
    if (rc == 0) break;
    if ((rc = number_put(l, ORDER, *rank + 1, places, slot)) < 0) return rc;
  }
  return 0;
}

/* What the last rank is, for the test in the loop. */
static int32_t note_worst(const struct list *l, struct top_record *r) {
  double slot;
  int32_t rc = number_get(l, ORDER, r->n, &slot);
  if (rc == 0) rc = number_get(l, TIMES, slot, &r->worst_at);
  if (rc == 0 && l->field == NUMBERS) rc = number_get(l, NUMBERS, slot, &r->worst);
  return rc < 0 ? rc : 1;
}

int32_t tm_ffi_top_enter(struct tm_state *s, void *record, double limit, int32_t order, const struct tm_value *v, double time,
                         const char *text, int32_t len) {
  struct top_record *r = record;
  struct list l = {s, record, v->kind == TM_VALUE_NUMBER ? NUMBERS : TEXTS, order & TM_TOP_DESC, (order & TM_TOP_DIGITS) != 0};
  double n = r->n, slot = n + 1, rank = n;
  int32_t rc;
  if (n == limit) {
    if ((rc = number_get(&l, ORDER, n, &slot)) < 0 || (rc = before(&l, v, time, slot)) <= 0) return rc;
    rank = n - 1;
  } else if ((rc = number_put(&l, ORDER, slot, n, 0)) < 0) {
    return rc;
  }
  struct tm_value event = {.kind = TM_VALUE_STRING, .text = text, .len = len};
  if ((rc = make_place(&l, v, time, &rank, limit)) < 0 || (rc = number_put(&l, ORDER, rank + 1, limit, slot)) < 0 ||
      (rc = put(&l, l.field, slot, n, v)) < 0 || (rc = number_put(&l, TIMES, slot, n, time)) < 0 ||
      (rc = put(&l, EVENTS, slot, n, &event)) < 0) {
    return rc;
  }
  if (n < limit) r->n = n + 1;
  r->revision += 1;
  r->at = time;
  return note_worst(&l, r);
}

/* ---- its rows ---- */

struct top_field {
  struct tm_member key;
  char *name;
  int32_t len;
  int32_t what;                   /* enum tm_top_field */
};

struct tm_top_rows {
  struct top_field *fields;       /* none: all of the event, rank and revision */
  int32_t n;
  int32_t cap;
  struct tm_member rank, revision;
};

struct tm_top_rows *tm_ffi_top_rows_new(void) {
  struct tm_top_rows *p = calloc(1, sizeof *p);
  if (p == NULL || (tm_member_init(&p->rank, "rank", 4) == 0 && tm_member_init(&p->revision, "revision", 8) == 0)) return p;
  free(p);
  return NULL;
}

int32_t tm_ffi_top_rows_add(struct tm_top_rows *p, const char *name, int32_t len, int32_t what) {
  if (p->n == p->cap) {
    int32_t cap = p->cap == 0 ? 8 : p->cap * 2;
    struct top_field *fields = realloc(p->fields, (size_t)cap * sizeof *fields);
    if (fields == NULL) return -1;
    p->fields = fields;
    p->cap = cap;
  }
  struct top_field *field = &p->fields[p->n];
  int32_t rc = tm_member_init(&field->key, name, len);
  if (rc != 0) return rc;
  field->name = malloc((size_t)len + 1);
  if (field->name == NULL) return -1;
  memcpy(field->name, name, (size_t)len);
  field->len = len;
  field->what = what;
  p->n++;
  return 0;
}

/* The members of an event's text. */
struct members {
  const char *text;
  int32_t n;
  struct tm_cell keys[MEMBERS_MAX], values[MEMBERS_MAX];
};

static int is_named(const struct members *m, int32_t i, const char *name, int32_t len) {
  const char *key = m->text + m->keys[i].off;
  return tm_cell_len(&m->keys[i]) == len && *key == *name && memcmp(key, name, (size_t)len) == 0;
}

/* 0: not such as are written here */
static int members_read(struct members *m, const char *text, int32_t len) {
  struct tm_json_members walk;
  tm_json_members_init(&walk, text, len);
  m->text = text;
  for (m->n = 0; m->n < MEMBERS_MAX; m->n++) {
    if (!tm_json_members_next(&walk, &m->keys[m->n], &m->values[m->n])) return 1;
    if (tm_cell_kind(&m->keys[m->n]) != TM_KIND_STRING) return 0;
    for (int32_t i = 0; i < m->n; i++) {
      if (is_named(m, i, text + m->keys[m->n].off, tm_cell_len(&m->keys[m->n]))) return 0;
    }
  }
  return 0;
}

static int32_t put_number(struct tm_buf *out, const struct tm_member *key, double v) {
  if (tm_buf_reserve(out, key->len + TM_NUMBER_ROOM) != 0) return -1;
  out->len = (int32_t)(tm_number_write(tm_member_put(out->data + out->len, key), v) - out->data);
  return 0;
}

static int32_t put_bytes(struct tm_buf *out, const struct members *m, int32_t from, int32_t end) {
  if (tm_buf_reserve(out, end - from) != 0) return -1;
  out->len = (int32_t)(tm_short_copy(out->data + out->len, m->text + from, end - from) - out->data);
  return 0;
}

static int32_t put_value(struct tm_buf *out, const struct members *m, int32_t i) {
  const struct tm_cell *v = &m->values[i];
  int32_t quoted = tm_cell_quoted(v);
  return put_bytes(out, m, v->off - quoted, v->off + tm_cell_len(v) + quoted);
}

static int32_t put_all(struct tm_buf *out, const struct tm_top_rows *p, const struct members *m, double rank, double revision) {
  int32_t rc = 0;
  for (int32_t i = 0; i < m->n && rc == 0; i++) {
    if (is_named(m, i, "rank", 4) || is_named(m, i, "revision", 8)) continue;
    rc = tm_buf_put(out, ",", 1);
    if (rc == 0) rc = put_bytes(out, m, m->keys[i].off - 1, m->keys[i].off + tm_cell_len(&m->keys[i]) + 1);
    if (rc == 0) rc = tm_buf_put(out, ":", 1);
    if (rc == 0) rc = put_value(out, m, i);
  }
  if (rc == 0) rc = put_number(out, &p->rank, rank);
  return rc != 0 ? rc : put_number(out, &p->revision, revision);
}

static int32_t put_some(struct tm_buf *out, const struct tm_top_rows *p, const struct members *m, double rank, double revision) {
  int32_t rc = 0;
  for (const struct top_field *f = p->fields, *last = f + p->n; f < last && rc == 0; f++) {
    if (f->what != TM_TOP_FIELD) {
      rc = put_number(out, &f->key, f->what == TM_TOP_RANK ? rank : revision);
      continue;
    }
    int32_t i = 0;
    while (i < m->n && !is_named(m, i, f->name, f->len)) i++;
    if (i == m->n) continue;
    if (tm_buf_reserve(out, f->key.len) != 0) return -1;
    out->len = (int32_t)(tm_member_put(out->data + out->len, &f->key) - out->data);
    rc = put_value(out, m, i);
  }
  return rc;
}

static int32_t row_put(struct tm_buf *out, const struct tm_top_rows *p, const struct tm_value *event, double rank, double revision) {
  static struct tm_buf copy;      /* walkers read some bytes behind a text */
  struct members m;
  int32_t start = out->len;
  if (copy.cap_max == 0) tm_buf_init(&copy, INT32_MAX - TM_PAD);
  copy.len = 0;
  if (tm_buf_put(&copy, event->text, event->len) != 0) return -1;
  if (!members_read(&m, copy.data, copy.len)) return LUA;
  int32_t rc = p->n > 0 ? put_some(out, p, &m, rank, revision) : put_all(out, p, &m, rank, revision);
  if (rc == 0 && out->len == start) rc = tm_buf_put(out, ",", 1);
  if (rc != 0) return rc;
  out->data[start] = '{';  /* in place of the first comma */
  return tm_buf_put(out, "}", 1);
}

int32_t tm_ffi_top_put(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t home, const struct tm_top_rows *p,
                       struct tm_state *s, void *record) {
  const struct top_record *r = record;
  const struct list l = {.state = s, .record = record};
  if (o->format != TM_FORMAT_JSON || tm_notes_written) return LUA;
  tm_ffi_out_begin(o, b, home);
  int32_t start = o->buf.len, event_rows = o->event_rows, rc = 0;
  double rows = o->rows;
  for (double rank = 1; rank <= r->n && rc == 0; rank++) {
    struct tm_value event;
    double slot;
    rc = number_get(&l, ORDER, rank, &slot);
    if (rc == 0) rc = tm_ffi_list_get(s, record, EVENTS, slot, &event);
    if (rc == 0) rc = row_put(&o->buf, p, &event, rank, r->revision - 1);
    if (rc == 0) rc = tm_out_row_end(o, f);
  }
  if (rc == 0) return 0;
  o->buf.len = start;
  o->event_rows = event_rows;
  o->rows = rows;
  return LUA;
}
