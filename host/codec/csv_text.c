/* csv_text.c - values of CSV as JSON text: a row as an object, a cell as a value; what a text is as a declared type.
 *
 * A text is a number if RFC 8259 says so: then its bytes are what JSON, msgpack and CSV carry, and 007 or +5, which are
 * something else to others, are not taken for one. True and false are told in any case, as spreadsheets write them. Whatever
 * is not of the type asked for stays a string, so that whoever declared it can say what was found. */
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/owned.h"
#include "cell.h"
#include "csv.h"
#include "json_scanner.h"

/* The columns as members of an object: `{"id":` or `,"id":` one behind the other. */
struct tm_csv_members {
  struct tm_buf text;
  int32_t *ends;
  double serial;
};

/* Which columns of a source's rows are no strings. */
struct tm_types {
  const struct tm_fields *fields;
  int32_t *ids;               /* of typed fields */
  int32_t n;
  uint8_t *of_column;         /* enum tm_text_type, for the names of `serial` */
  double serial;
};

/* ---- types ---- */

static int is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* RFC 8259's number, bounded by len. */
static int is_number(const char *p, int32_t len) {
  int32_t i = len > 0 && p[0] == '-', first = i;
  while (i < len && is_digit(p[i])) i++;
  if (i == first || (p[first] == '0' && i > first + 1)) return 0;
  if (i < len && p[i] == '.') {
    int32_t point = i++;
    while (i < len && is_digit(p[i])) i++;
    if (i == point + 1) return 0;
  }
  if (i < len && (p[i] | 32) == 'e') {
    i++;
    if (i < len && (p[i] == '+' || p[i] == '-')) i++;
    int32_t digits = i;
    while (i < len && is_digit(p[i])) i++;
    if (i == digits) return 0;
  }
  return i == len;
}

static int is_word(const char *p, int32_t len, const char *word) {
  for (int32_t i = 0; i < len; i++)
    if ((p[i] | 32) != word[i]) return 0;
  return word[len] == '\0';
}

int tm_csv_value(const char *text, int32_t len, int32_t type, double *num) {
  struct tm_cell c;
  *num = tm_cell_num(0);
  if (type == TM_TEXT_NUMBER && is_number(text, len)) {
    tm_json_number_cell(text, len, 1, &c);
    *num = c.num;
    return tm_cell_kind(&c);
  }
  if (type == TM_TEXT_BOOLEAN && len == 4 && is_word(text, len, "true")) return TM_KIND_TRUE;
  if (type == TM_TEXT_BOOLEAN && len == 5 && is_word(text, len, "false")) return TM_KIND_FALSE;
  return TM_KIND_STRING;
}

int32_t tm_ffi_text_value(const char *text, int32_t len, int32_t type, double *num) { return tm_csv_value(text, len, type, num); }

struct tm_types *tm_ffi_types_new(const struct tm_fields *f) {
  struct tm_types *t = tm_owned_calloc(1, sizeof *t);
  if (t != NULL) t->fields = f;
  return t;
}

int32_t tm_ffi_types_add(struct tm_types *t, int32_t id) {
  int32_t *ids = tm_owned_realloc(t->ids, ((size_t)t->n + 1) * sizeof *ids);
  if (ids == NULL) return -1;
  t->ids = ids;
  t->ids[t->n++] = id;
  t->serial = -1;
  return 0;
}

/* The types of the columns at hand. */
static const uint8_t *types_get(const struct tm_types *types, const struct tm_csv *csv) {
  struct tm_types *t = (struct tm_types *)(uintptr_t)types;  /* what is kept in it changes no answer */
  if (t == NULL || t->n == 0 || t->serial == csv->serial) return t == NULL || t->n == 0 ? NULL : t->of_column;
  t->of_column = tm_owned_realloc(t->of_column, (size_t)csv->names->n + 1);
  TM_ASSERT(t->of_column != NULL);
  memset(t->of_column, TM_TEXT_STRING, (size_t)csv->names->n);
  for (int32_t i = 0; i < t->n; i++) {
    const struct tm_field *f = &t->fields->list[t->ids[i]];
    int32_t column = tm_csv_names_find(csv->names, f->name, f->name_len, 0);
    if (column >= 0) t->of_column[column] = (uint8_t)f->type;
  }
  t->serial = csv->serial;
  return t->of_column;
}

/* ---- rows ---- */

void tm_csv_members_free(struct tm_csv_members *m) {
  if (m == NULL) return;
  tm_buf_fini(&m->text);
  free(m->ends);
  free(m);
}

static const struct tm_csv_members *members_get(struct tm_csv *csv) {
  struct tm_csv_members *m = csv->members;
  if (m != NULL && m->serial == csv->serial) return m;
  if (m == NULL) {
    m = calloc(1, sizeof *m);
    TM_ASSERT(m != NULL);
    tm_buf_init(&m->text, INT32_MAX - TM_PAD);
    csv->members = m;
  }
  m->text.len = 0;
  m->ends = realloc(m->ends, ((size_t)csv->names->n + 1) * sizeof *m->ends);
  TM_ASSERT(m->ends != NULL);
  for (int32_t i = 0; i < csv->names->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(csv->names, i, &len);
    int rc = tm_buf_put(&m->text, i == 0 ? "{" : ",", 1);
    if (rc == 0) rc = tm_ffi_json_string(&m->text, name, len);
    if (rc == 0) rc = tm_buf_put(&m->text, ":", 1);
    TM_ASSERT(rc == 0);
    m->ends[i] = m->text.len;
  }
  m->serial = csv->serial;
  return m;
}

/* The unescaped text of a span: in the row, or in scratch. NULL: no memory. */
static const char *span_text(const char *raw, const struct tm_csv_span *span, int32_t *len) {
  static struct tm_buf scratch;
  *len = span->len;
  if (tm_csv_span_plain(span)) return raw + span->off;
  if (scratch.cap_max == 0) tm_buf_init(&scratch, INT32_MAX - TM_PAD);
  scratch.len = 0;
  if (tm_csv_span_put(&scratch, raw, span) != 0) return NULL;
  *len = scratch.len;
  return scratch.data;
}

static int32_t value_put(struct tm_buf *out, const char *text, int32_t len, int kind) {
  switch (kind) {
    case TM_KIND_TRUE: return tm_buf_put(out, "true", 4);
    case TM_KIND_FALSE: return tm_buf_put(out, "false", 5);
    case TM_KIND_NULL:
    case TM_KIND_ABSENT: return tm_buf_put(out, "null", 4);
    case TM_KIND_STRING: return tm_ffi_json_string(out, text, len);
    default: return tm_buf_put(out, text, len);
  }
}

int32_t tm_csv_text(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_types *types) {
  const struct tm_csv_members *m = members_get(b->csv);
  const uint8_t *of = types_get(types, b->csv);
  const struct tm_csv_span *spans = tm_csv_row_spans(b, row);
  int32_t from = 0;
  for (int32_t i = 0; i < b->csv->names->n; i++) {
    int32_t len, kind = TM_KIND_STRING;
    double num;
    const char *text = span_text(b->raw, &spans[i], &len);
    if (text == NULL || tm_buf_put(out, m->text.data + from, m->ends[i] - from) != 0) return -1;
    if (of != NULL && of[i] != TM_TEXT_STRING) kind = tm_csv_value(text, len, of[i], &num);
    if (value_put(out, text, len, kind) != 0) return -1;
    from = m->ends[i];
  }
  return tm_buf_put(out, from == 0 ? "{}" : "}", from == 0 ? 2 : 1);
}

/* ---- cells ---- */

int32_t tm_csv_cell_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c) {
  int kind = tm_cell_kind(c);
  const char *text = b->raw + c->off;
  int32_t len = tm_cell_len(c);
  if ((kind == TM_KIND_STRING || kind == TM_KIND_ESCAPED) && tm_cell_head(c) == TM_CSV_JSON) return tm_buf_put(out, text - 1, len + 2);
  return value_put(out, text, len, kind);
}

int32_t tm_csv_cell_text(struct tm_batch *b, struct tm_cell *c) {
  int kind = tm_cell_kind(c);
  if (kind == TM_KIND_ABSENT || kind == TM_KIND_NUMBER || kind == TM_KIND_BIGINT || kind == TM_KIND_HUGE) return 0;
  if (tm_cell_head(c) == TM_CSV_JSON) return 0;
  struct tm_buf room;
  struct tm_cell_origin from = {0};
  tm_csv_cell_raw(b, c, &from.len);
  from.off = (int32_t)(tm_csv_cell_raw(b, c, &from.len) - b->raw);
  tm_buf_init_fixed(&room, b->side, b->side_cap);
  room.len = b->side_len;
  if (tm_buf_put(&room, (const char *)&from, sizeof from) != 0) return -1;
  int32_t start = room.len;
  if (value_put(&room, b->raw + c->off, tm_cell_len(c), kind) != 0) return -1;
  b->side_len = room.len;
  int quoted = kind == TM_KIND_STRING;
  int32_t len = room.len - start - 2 * quoted;
  /* escapes make it longer */
  if (quoted && len != tm_cell_len(c)) kind = TM_KIND_ESCAPED;
  c->off = (int32_t)(b->side + start + quoted - b->raw);
  c->tag = (int32_t)((uint32_t)len << 4 | (uint32_t)kind);
  c->num = tm_cell_num(TM_CSV_JSON);
  return 0;
}

const char *tm_csv_cell_raw(const struct tm_batch *b, const struct tm_cell *c, int32_t *len) {
  const char *text = b->raw + c->off;
  if (tm_cell_in_side(b, c)) {
    struct tm_cell_origin from;
    int quoted = tm_cell_head(c) == TM_CSV_JSON && tm_cell_kind(c) != TM_KIND_TRUE && tm_cell_kind(c) != TM_KIND_FALSE;
    memcpy(&from, text - quoted - sizeof from, sizeof from);
    *len = from.len;
    return b->raw + from.off;
  }
  /* a field that begins with a quote is quoted; in front of one that does not stands no quote */
  int quoted = text[-1] == '"';
  *len = tm_cell_len(c) + 2 * quoted;
  return text - quoted;
}
