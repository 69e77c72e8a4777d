/* top.c - the lists of the step `top`: the n events of a key that rank first, and their rows.
 *
 *   order    list of numbers    rank -> slot
 *   numbers  list of numbers    slot -> what it ranks by (or texts, list of strings)
 *   times    list of numbers    slot -> the event's time
 *   events   list of strings    slot -> the event as JSON text, its pieces, how many (struct piece, uint32_t)
 *
 * An event that enters writes one slot and moves ranks; a full list gives the slot of its last rank to it. The record's own cells
 * (struct top_record, named in lua/tidemill/operators.lua) hold what that last rank is, so that an event which does not enter
 * costs one comparison in the loop. All changes go through the calls of lists, which log them.
 *
 * Each change sends the whole list, so rows are written here, from the kept texts: as they are with rank and revision behind, or
 * some of their fields. An event's text is walked once, when it enters: its pieces say what of it, in which order, a row is. One whose
 * members cannot be copied as they lie has none and is walked for each row. Texts with notes or with names that stand twice, or escaped,
 * are left to Lua (1), with nothing written. */
#include "../base/owned.h"
#include "../codec/member.h"
#include "../codec/note.h"
#include "../codec/number_text.h"
#include "../codec/out.h"
#include "../state/table.h"

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
  struct tm_top_rows *p = tm_owned_calloc(1, sizeof *p);
  if (p == NULL || (tm_member_init(&p->rank, "rank", 4) == 0 && tm_member_init(&p->revision, "revision", 8) == 0)) return p;
  tm_owned_free(p);
  return NULL;
}

int32_t tm_ffi_top_rows_add(struct tm_top_rows *p, const char *name, int32_t len, int32_t what) {
  if (p->n == p->cap) {
    int32_t cap = p->cap == 0 ? 8 : p->cap * 2;
    struct top_field *fields = tm_owned_realloc(p->fields, (size_t)cap * sizeof *fields);
    if (fields == NULL) return -1;
    p->fields = fields;
    p->cap = cap;
  }
  struct top_field *field = &p->fields[p->n];
  int32_t rc = tm_member_init(&field->key, name, len);
  if (rc != 0) return rc;
  field->name = tm_owned_malloc((size_t)len + 1);
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

/* ---- its pieces ---- */

/* A part of the text that a row has as it is, without the comma in front; len 0: off is enum tm_top_field. */
struct piece { uint16_t off, len; };

enum { PIECES_MAX = MEMBERS_MAX + 2 };

/* The member i as a piece, if it stands there as rows have it: without white space. */
static int piece_of(const struct members *m, int32_t i, struct piece *piece) {
  const struct tm_cell *key = &m->keys[i], *v = &m->values[i];
  int32_t from = key->off - 1, colon = key->off + tm_cell_len(key) + 1, end = v->off + tm_cell_len(v) + tm_cell_quoted(v);
  if (m->text[colon] != ':' || v->off - tm_cell_quoted(v) != colon + 1 || end > UINT16_MAX) return 0;
  *piece = (struct piece){(uint16_t)from, (uint16_t)(end - from)};
  return 1;
}

/* Adds a piece, or lengthens the last one by it, where only a comma lies in between. */
static int32_t piece_add(struct piece *list, int32_t n, const char *text, struct piece piece) {
  struct piece *last = list + n - 1;
  if (n == 0 || last->len == 0 || piece.len == 0 || piece.off != last->off + last->len + 1 || text[piece.off - 1] != ',') {
    list[n] = piece;
    return n + 1;
  }
  last->len = (uint16_t)(last->len + 1 + piece.len);
  return n;
}

/* The pieces of a row: how many; 0: it has none. */
static int32_t pieces_make(const struct tm_top_rows *p, const struct members *m, struct piece *list) {
  struct piece piece;
  int32_t n = 0;
  if (p->n > PIECES_MAX) return 0;
  for (int32_t i = 0; i < m->n && p->n == 0; i++) {
    if (is_named(m, i, "rank", 4) || is_named(m, i, "revision", 8)) continue;
    if (!piece_of(m, i, &piece)) return 0;
    n = piece_add(list, n, m->text, piece);
  }
  for (int32_t k = 0; k < p->n; k++) {
    const struct top_field *f = p->fields + k;
    int32_t i = 0;
    while (i < m->n && !is_named(m, i, f->name, f->len)) i++;
    if (f->what != TM_TOP_FIELD) piece = (struct piece){(uint16_t)f->what, 0};
    else if (i == m->n) continue;
    else if (!piece_of(m, i, &piece) || f->key.len != f->len + 4) return 0;  /* a name with escapes */
    n = piece_add(list, n, m->text, piece);
  }
  if (p->n > 0) return n;
  n = piece_add(list, n, m->text, (struct piece){TM_TOP_RANK, 0});
  return piece_add(list, n, m->text, (struct piece){TM_TOP_REVISION, 0});
}

/* What is kept of an event; p: how its rows are written, NULL: not here. 0 or a negative code. */
static int32_t event_make(const struct tm_top_rows *p, const char *text, int32_t len, struct tm_value *event) {
  static struct tm_buf out;
  struct members m;
  struct piece list[PIECES_MAX];
  if (out.cap_max == 0) tm_buf_init(&out, INT32_MAX - TM_PAD);
  out.len = 0;
  if (len > TM_TEXT_MAX - (int32_t)(sizeof list + sizeof(uint32_t))) return TM_STATE_TOO_LONG;
  if (tm_buf_put(&out, text, len) != 0) return TM_STATE_NO_MEMORY;
  uint32_t n = p != NULL && !tm_notes_written && members_read(&m, out.data, len) ? (uint32_t)pieces_make(p, &m, list) : 0;
  if (tm_buf_put(&out, (const char *)list, (int32_t)(n * sizeof list[0])) != 0 ||
      tm_buf_put(&out, (const char *)&n, sizeof n) != 0) {
    return TM_STATE_NO_MEMORY;
  }
  *event = (struct tm_value){.kind = TM_VALUE_STRING, .text = out.data, .len = out.len};
  return 0;
}

/* The event of a rank: the text alone, whose pieces follow it; how many these are, or a negative code. */
static int32_t event_get(struct tm_state *s, const void *record, double rank, struct tm_value *event) {
  uint32_t n;
  struct tm_value slot;
  int32_t rc = tm_ffi_list_get(s, record, ORDER, rank, &slot);
  if (rc == 0) rc = tm_ffi_list_get(s, record, EVENTS, slot.num, event);
  if (rc != 0) return rc;
  memcpy(&n, event->text + event->len - sizeof n, sizeof n);
  event->len -= (int32_t)(sizeof n + n * sizeof(struct piece));
  return (int32_t)n;
}

int32_t tm_ffi_top_event(struct tm_state *s, const void *record, double rank, struct tm_value *out) {
  int32_t rc = event_get(s, record, rank, out);
  return rc < 0 ? rc : 0;
}

static int32_t pieces_put(struct tm_buf *out, const struct tm_top_rows *p, const struct tm_value *event, int32_t n, double rank,
                          double revision) {
  for (int32_t i = 0; i < n; i++) {
    struct piece piece;
    memcpy(&piece, event->text + event->len + i * (int32_t)sizeof piece, sizeof piece);
    if (piece.len == 0) {
      int is_rank = piece.off == TM_TOP_RANK;
      if (put_number(out, is_rank ? &p->rank : &p->revision, is_rank ? rank : revision) != 0) return -1;
    } else if (tm_buf_put(out, ",", 1) != 0 || tm_buf_put(out, event->text + piece.off, piece.len) != 0) {
      return -1;
    }
  }
  return 0;
}

/* ---- entering ---- */

int32_t tm_ffi_top_enter(struct tm_state *s, void *record, double limit, int32_t order, const struct tm_value *v, double time,
                         const char *text, int32_t len, const struct tm_top_rows *p) {
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
  struct tm_value event;
  if ((rc = event_make(p, text, len, &event)) < 0) return rc;
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

/* ---- writing them ---- */

static int32_t row_put(struct tm_buf *out, const struct tm_top_rows *p, const struct tm_value *event, int32_t pieces, double rank,
                       double revision) {
  static struct tm_buf copy;      /* walkers read some bytes behind a text */
  struct members m;
  int32_t start = out->len;
  int32_t rc;
  if (pieces > 0) {
    rc = pieces_put(out, p, event, pieces, rank, revision);
    if (rc != 0) return rc;
    out->data[start] = '{';
    return tm_buf_put(out, "}", 1);
  }
  if (copy.cap_max == 0) tm_buf_init(&copy, INT32_MAX - TM_PAD);
  copy.len = 0;
  if (tm_buf_put(&copy, event->text, event->len) != 0) return -1;
  if (!members_read(&m, copy.data, copy.len)) return LUA;
  rc = p->n > 0 ? put_some(out, p, &m, rank, revision) : put_all(out, p, &m, rank, revision);
  if (rc == 0 && out->len == start) rc = tm_buf_put(out, ",", 1);
  if (rc != 0) return rc;
  out->data[start] = '{';  /* in place of the first comma */
  return tm_buf_put(out, "}", 1);
}

int32_t tm_ffi_top_put(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t home, const struct tm_top_rows *p,
                       struct tm_state *s, void *record) {
  const struct top_record *r = record;
  if (o->format != TM_FORMAT_JSON || tm_notes_written) return LUA;
  tm_ffi_out_begin(o, b, home);
  int32_t start = o->buf.len, event_rows = o->event_rows, rc = 0;
  double rows = o->rows;
  for (double rank = 1; rank <= r->n && rc == 0; rank++) {
    struct tm_value event = {.text = ""};
    int32_t pieces = event_get(s, record, rank, &event);
    rc = pieces < 0 ? pieces : row_put(&o->buf, p, &event, pieces, rank, r->revision - 1);
    if (rc == 0) rc = tm_out_row_end(o, f);
  }
  if (rc == 0) return 0;
  o->buf.len = start;
  o->event_rows = event_rows;
  o->rows = rows;
  return LUA;
}
