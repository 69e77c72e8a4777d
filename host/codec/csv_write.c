/* csv_write.c - rows as CSV or plain lines (csv_write.h).
 *
 * A row comes as JSON text, as a row of CSV, or cell by cell. The first two are sorted into the columns: values[i] is what
 * belongs into the i-th one. Names mostly come in the order of the columns, so each is looked for behind the last. A row of CSV
 * whose columns and delimiter are the sink's own leaves byte for byte. */
#include "csv_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/owned.h"
#include "columns.h"
#include "json_walk.h"

enum { NOT_A_COLUMN = -3, FAULT_NAME = 100 };

struct value {
  const char *text;
  int32_t len;
  int32_t kind;                /* ABSENT, NULL: nothing; ESCAPED: of JSON; STRING: as it stands */
  const struct tm_csv_span *span;  /* of CSV; its text is in text */
};

struct tm_csv_row_out {
  struct value *values;
  int32_t cap;
  struct tm_buf scratch;
  /* what a row of CSV is to the columns, until either changes */
  const struct tm_csv *from;
  double from_serial;
  double serial;               /* of the sink's columns */
  double seen_serial;
  int same;
  int32_t *to;                 /* by column of the row: the sink's, -1 none */
  /* why the last row did not fit */
  enum { FITS, NO_COLUMN, NO_FIELDS, TOO_MANY, NO_LINE, NOT_A_LINE } fault;
  int32_t name_len;
  char name[FAULT_NAME];
};

struct tm_csv_out *tm_csv_out_new(int32_t format, char delimiter, int crlf, int header, struct tm_csv_names *given,
                                  struct tm_csv_names *shared) {
  struct tm_csv_out *csv = tm_owned_calloc(1, sizeof *csv);
  struct tm_csv_row_out *row = tm_owned_calloc(1, sizeof *row);
  if (csv == NULL || row == NULL) {
    tm_owned_free(csv);
    tm_owned_free(row);
    return NULL;
  }
  csv->delimiter = format == TM_FORMAT_LINES ? TM_CSV_NO_DELIMITER : delimiter;
  csv->crlf = crlf;
  csv->header = header && format != TM_FORMAT_LINES;
  csv->given = given != NULL;
  csv->names = given != NULL ? given : shared;
  csv->row = row;
  row->seen_serial = -1;
  tm_buf_init(&row->scratch, INT32_MAX - TM_PAD);
  return csv;
}

static int32_t refuse(struct tm_csv_row_out *row, int fault, const char *name, int32_t len) {
  row->fault = fault;
  row->name_len = len < FAULT_NAME ? len : FAULT_NAME;
  if (len > 0) memcpy(row->name, name, (size_t)row->name_len);
  return NOT_A_COLUMN;
}

/* ---- values ---- */

/* The first byte of p[0..n) that a value without quotes cannot have, or n. TM_PAD bytes behind it are readable. */
static inline int32_t special(const char *p, int32_t n, char delimiter) {
#ifdef __SSE2__
  const __m128i d = _mm_set1_epi8(delimiter), q = _mm_set1_epi8('"'), lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
  for (int32_t i = 0; i < n; i += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
    __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, d), _mm_cmpeq_epi8(x, q)),
                               _mm_or_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(x, cr)));
    int mask = _mm_movemask_epi8(hit);
    if (mask == 0) continue;
    i += __builtin_ctz((unsigned)mask);
    return i < n ? i : n;
  }
  return n;
#else
  int32_t i = 0;
  while (i < n && p[i] != delimiter && p[i] != '"' && p[i] != '\n' && p[i] != '\r') i++;
  return i;
#endif
}

static int32_t quoted_put(struct tm_buf *out, const char *p, int32_t n) {
  if (n > (INT32_MAX - 2) / 2 || tm_buf_reserve(out, 2 * n + 2) != 0) return -1;
  char *to = out->data + out->len;
  *to++ = '"';
  for (int32_t i = 0; i < n; i++) {
    if (p[i] == '"') *to++ = '"';
    *to++ = p[i];
  }
  *to++ = '"';
  out->len = (int32_t)(to - out->data);
  return 0;
}

/* A value as text, of which TM_PAD bytes more are readable. */
static inline int32_t text_put(struct tm_buf *out, const struct tm_csv_out *csv, const char *p, int32_t n) {
  if (n == 0) return csv->names->n == 1 ? tm_buf_put(out, "\"\"", 2) : 0;
  if (special(p, n, csv->delimiter) < n) return quoted_put(out, p, n);
  if (tm_buf_reserve(out, n) != 0) return -1;
  char *to = out->data + out->len;
  memcpy(to, p, 32);
  if (__builtin_expect(n > 32, 0)) memcpy(to + 32, p + 32, (size_t)n - 32);
  out->len += n;
  return 0;
}

static int32_t value_put(struct tm_buf *out, const struct tm_csv_out *csv, const struct value *v) {
  struct tm_buf *scratch = &csv->row->scratch;
  scratch->len = 0;
  if (v->kind == TM_KIND_ABSENT || v->kind == TM_KIND_NULL) return text_put(out, csv, "", 0);
  if (v->span != NULL && !tm_csv_span_plain(v->span)) {
    if (tm_csv_span_put(scratch, v->text, v->span) != 0) return -1;
    return text_put(out, csv, scratch->data, scratch->len);
  }
  if (v->kind == TM_KIND_ESCAPED) {
    if (tm_ffi_json_unescape(v->text, v->len, scratch) != 0 || tm_buf_reserve(scratch, 1) != 0) return -1;
    return text_put(out, csv, scratch->data, scratch->len);
  }
  return text_put(out, csv, v->span != NULL ? v->text + v->span->off : v->text, v->len);
}

int32_t tm_csv_end_put(struct tm_buf *out, const struct tm_csv_out *csv) {
  return tm_buf_put(out, csv->crlf ? "\r\n" : "\n", csv->crlf ? 2 : 1);
}

/* ---- columns ---- */

static void columns_begin(struct tm_csv_out *csv) {
  csv->names->n = 0;
  csv->row->serial += 1;
}

int32_t tm_csv_head_put(struct tm_buf *out, const struct tm_csv_out *csv) {
  for (int32_t i = 0; i < csv->names->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(csv->names, i, &len);
    if (i > 0 && tm_buf_put(out, &csv->delimiter, 1) != 0) return -1;
    if (text_put(out, csv, name, len) != 0) return -1;
  }
  return tm_csv_end_put(out, csv);
}

int32_t tm_csv_begin(struct tm_out *o) {
  if (o->rows > 0 || !o->csv->header) return 0;
  return tm_csv_head_put(&o->buf, o->csv);
}

static struct value *values_get(struct tm_csv_out *csv) {
  struct tm_csv_row_out *row = csv->row;
  int32_t n = csv->names->n;
  if (row->cap < n + 1) {
    row->cap = 2 * n + 16;
    row->values = tm_owned_realloc(row->values, (size_t)row->cap * sizeof *row->values);
    TM_ASSERT(row->values != NULL);
  }
  memset(row->values, 0, (size_t)n * sizeof *row->values);
  return row->values;
}

static int32_t values_put(struct tm_out *o) {
  struct tm_csv_out *csv = o->csv;
  const struct value *values = csv->row->values;
  if (csv->names->n == 0) return refuse(csv->row, NO_FIELDS, NULL, 0);
  int32_t rc = tm_csv_begin(o);
  for (int32_t i = 0; i < csv->names->n && rc == 0; i++) {
    if (i > 0) rc = tm_buf_put(&o->buf, &csv->delimiter, 1);
    if (rc == 0) rc = value_put(&o->buf, csv, &values[i]);
  }
  return rc != 0 ? rc : tm_csv_end_put(&o->buf, csv);
}

/* ---- plain lines ---- */

/* The line breaks behind `from` become those of the sink. */
static int32_t breaks_put(struct tm_buf *out, int32_t from) {
  int32_t n = 0;
  for (int32_t i = from; i < out->len; i++) n += out->data[i] == '\n';
  if (tm_buf_reserve(out, n) != 0) return -1;
  for (int32_t i = out->len - 1, to = i + n; to > i; i--) {
    out->data[to--] = out->data[i];
    if (out->data[i] == '\n') out->data[to--] = '\r';
  }
  out->len += n;
  return 0;
}

static int32_t line_put(struct tm_out *o, const struct value *v) {
  struct tm_csv_out *csv = o->csv;
  int32_t from = o->buf.len;
  if (v->kind == TM_KIND_ABSENT || v->kind == TM_KIND_NULL) return refuse(csv->row, NO_LINE, NULL, 0);
  int32_t rc = v->kind == TM_KIND_ESCAPED ? tm_ffi_json_unescape(v->text, v->len, &o->buf) : tm_buf_put(&o->buf, v->text, v->len);
  if (rc != 0) return rc;
  if (o->buf.len > from && memchr(o->buf.data + from, '\n', (size_t)(o->buf.len - from)) != NULL) {
    if (!csv->breaks) return refuse(csv->row, NOT_A_LINE, NULL, 0);
    if (csv->crlf && breaks_put(&o->buf, from) != 0) return -1;
  }
  return tm_csv_end_put(&o->buf, csv);
}

/* ---- rows of JSON ---- */

/* The name of a member, unescaped. */
static const char *member_name(struct tm_csv_row_out *row, const char *text, const struct tm_cell *key, int32_t *len) {
  *len = tm_cell_len(key);
  if (tm_cell_kind(key) != TM_KIND_ESCAPED) return text + key->off;
  row->scratch.len = 0;
  if (tm_ffi_json_unescape(text + key->off, *len, &row->scratch) != 0) return NULL;
  *len = row->scratch.len;
  return row->scratch.data;
}

/* The first row says the columns. */
static int32_t columns_of_json(struct tm_csv_out *csv, const char *text, int32_t len) {
  struct tm_json_members members;
  struct tm_cell key, value;
  columns_begin(csv);
  tm_json_members_init(&members, text, len);
  while (tm_json_members_next(&members, &key, &value)) {
    int32_t n;
    const char *name = member_name(csv->row, text, &key, &n);
    if (name == NULL) return -1;
    if (tm_csv_names_find(csv->names, name, n, 0) < 0 && tm_csv_names_add(csv->names, name, n) != 0)
      return refuse(csv->row, TOO_MANY, NULL, 0);
  }
  return 0;
}

int32_t tm_csv_put_json(struct tm_out *o, const char *text, int32_t len) {
  struct tm_csv_out *csv = o->csv;
  struct tm_json_members members;
  struct tm_cell key, cell;
  int32_t column = -1, rc;
  if (!csv->given && o->rows == 0 && (rc = columns_of_json(csv, text, len)) != 0) return rc;
  struct value *values = values_get(csv);
  tm_json_members_init(&members, text, len);
  while (tm_json_members_next(&members, &key, &cell)) {
    int32_t n;
    const char *name = member_name(csv->row, text, &key, &n);
    if (name == NULL) return -1;
    int32_t found = tm_csv_names_find(csv->names, name, n, column + 1 < csv->names->n ? column + 1 : 0);
    if (found >= 0) {
      column = found;
      values[column] = (struct value){text + cell.off, tm_cell_len(&cell), tm_cell_kind(&cell), NULL};
    } else if (csv->delimiter != TM_CSV_NO_DELIMITER) {
      return refuse(csv->row, NO_COLUMN, name, n);
    }
  }
  return csv->delimiter == TM_CSV_NO_DELIMITER ? line_put(o, &values[0]) : values_put(o);
}

/* ---- rows of CSV ---- */

/* Where the columns of a batch go. */
static int32_t columns_compare(struct tm_csv_out *csv, const struct tm_csv *from) {
  struct tm_csv_row_out *row = csv->row;
  if (row->from == from && row->from_serial == from->serial && row->seen_serial == row->serial) return 0;
  int32_t *to = tm_owned_realloc(row->to, ((size_t)from->names->n + 1) * sizeof *to);
  if (to == NULL) return -1;
  row->to = to;
  for (int32_t i = 0; i < from->names->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(from->names, i, &len);
    to[i] = tm_csv_names_find(csv->names, name, len, i < csv->names->n ? i : 0);
  }
  row->same = csv->delimiter == from->delimiter && tm_csv_names_equal(csv->names, from->names);
  row->from = from;
  row->from_serial = from->serial;
  row->seen_serial = row->serial;
  return 0;
}

static int32_t columns_of_names(struct tm_csv_out *csv, const struct tm_csv_names *names) {
  int32_t len;
  columns_begin(csv);
  for (int32_t i = 0; i < names->n; i++) {
    const char *name = tm_csv_name(names, i, &len);
    tm_csv_names_add(csv->names, name, len);
  }
  return 0;
}

int32_t tm_csv_put_row(struct tm_out *o, const struct tm_batch *b, int32_t row) {
  struct tm_csv_out *csv = o->csv;
  const struct tm_csv *from = b->csv;
  const char *text = b->raw + b->off[row];
  int32_t len = b->len[row], rc;
  if (!csv->given && o->rows == 0) columns_of_names(csv, from->names);
  if (columns_compare(csv, from) != 0) return -1;
  /* a CR at the end belongs to the last value, but would be read as part of the line's end */
  if (csv->row->same && (csv->delimiter == TM_CSV_NO_DELIMITER ? from->record == NULL : text[len - 1] != '\r')) {
    rc = tm_csv_begin(o);
    if (rc == 0) rc = tm_buf_put(&o->buf, text, len);
    return rc != 0 ? rc : tm_csv_end_put(&o->buf, csv);
  }
  const struct tm_csv_span *spans = tm_csv_row_spans(b, row);
  struct value *values = values_get(csv);
  for (int32_t i = 0; i < from->names->n; i++) {
    int32_t to = csv->row->to[i], n;
    const char *name = tm_csv_name(from->names, i, &n);
    if (to >= 0) values[to] = (struct value){b->raw, spans[i].len, TM_KIND_STRING, &spans[i]};
    else if (csv->delimiter != TM_CSV_NO_DELIMITER) return refuse(csv->row, NO_COLUMN, name, n);
  }
  if (csv->delimiter != TM_CSV_NO_DELIMITER) return values_put(o);
  struct value *line = &values[0];
  if (line->span != NULL && !tm_csv_span_plain(line->span)) {
    csv->row->scratch.len = 0;
    if (tm_csv_span_put(&csv->row->scratch, b->raw, line->span) != 0) return -1;
    return line_put(o, &(struct value){csv->row->scratch.data, csv->row->scratch.len, TM_KIND_STRING, NULL});
  }
  if (line->span != NULL) line->text += line->span->off;
  return line_put(o, line);
}

/* ---- cells ---- */

int32_t tm_csv_put_cell(struct tm_buf *out, const struct tm_csv_out *csv, const struct tm_batch *b, const struct tm_cell *c, int first) {
  int32_t len;
  if (!first && tm_buf_put(out, &csv->delimiter, 1) != 0) return -1;
  if (tm_cell_kind(c) != TM_KIND_ABSENT && tm_csv_batch(b)) {
    /* as it stands in the row, where that says the same in this place */
    const char *raw = tm_csv_cell_raw(b, c, &len);
    if (b->csv->delimiter == csv->delimiter && len > 0 && (*raw == '"' || raw[len - 1] != '\r')) return tm_buf_put(out, raw, len);
    struct tm_csv_span span = {.off = (int32_t)(raw - b->raw), .len = len};
    span.crlf = b->csv->record != NULL && memmem(raw, (size_t)len, "\r\n", 2) != NULL;
    if (len > 0 && *raw == '"' && b->csv->delimiter != TM_CSV_NO_DELIMITER) {
      span = (struct tm_csv_span){.off = span.off + 1, .len = len - 2, .quoted = 1};
      span.doubled = memchr(raw + 1, '"', (size_t)span.len) != NULL;
    }
    return value_put(out, csv, &(struct value){b->raw, span.len, TM_KIND_STRING, &span});
  }
  return value_put(out, csv, &(struct value){b->raw + c->off, tm_cell_len(c), tm_cell_kind(c), NULL});
}

/* ---- faults ---- */

int32_t tm_ffi_out_why(const struct tm_out *o, struct tm_buf *why) {
  const struct tm_csv_out *csv = o->csv;
  static const char *const told[] = {
      [FITS] = "", [NO_COLUMN] = "", [NO_FIELDS] = "the first row says the columns, and this one has no field; name them with columns = {…}",
      [TOO_MANY] = "the first row says the columns, and this one has too many fields or too long names",
      [NO_LINE] = "the row has no field 'line', whose text is what the format lines writes",
      [NOT_A_LINE] = "field 'line' holds a line break, which would make two lines of it; emit a row for each"};
  if (o->columns != NULL) return tm_columns_why(o->columns, why);
  if (csv == NULL) return -1;
  const struct tm_csv_row_out *row = csv->row;
  if (row->fault != NO_COLUMN) return tm_buf_put(why, told[row->fault], (int32_t)strlen(told[row->fault]));
  char text[FAULT_NAME + 64];
  int n = snprintf(text, sizeof text, "field '%.*s' is none of the columns ", row->name_len, row->name);
  int32_t rc = tm_buf_put(why, text, n);
  for (int32_t i = 0; i < csv->names->n && rc == 0; i++) {
    int32_t len;
    const char *name = tm_csv_name(csv->names, i, &len);
    if (i > 0) rc = tm_buf_put(why, ",", 1);
    if (rc == 0 && i >= 20) {
      rc = tm_buf_put(why, "…", 3);
      break;
    }
    if (rc == 0) rc = tm_buf_put(why, name, len);
  }
  return rc;
}
