/* csv_slow.h - what a text of CSV holds, found the slow and obvious way, and what the reader makes of it in pieces.
 *
 * Both write the same account: for each row its line, then its fields, or why it is none. */
#ifndef TM_TESTS_CSV_SLOW_H
#define TM_TESTS_CSV_SLOW_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/base/buf.h"
#include "../../host/codec/csv.h"
#include "../../host/codec/json.h"
#include "../../host/codec/msgpack_bytes.h"

enum { CSV_COLUMNS = 3 };

/* ---- the slow way ---- */

static void told(struct tm_buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void told(struct tm_buf *out, const char *fmt, ...) {
  char text[64];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (tm_buf_put(out, text, n) != 0) abort();
}

/* One row at `at`: appends its fields as [field], counts them; the place behind, or -1 where its quotes make no sense. */
static int32_t slow_row(const char *s, int32_t at, int32_t len, char delimiter, struct tm_buf *out, int32_t *fields, int32_t *text_end, int *quoted) {
  *fields = 0;
  *quoted = 0;
  for (;;) {
    ++*fields;
    told(out, "[");
    if (at < len && s[at] == '"') {
      *quoted = 1;
      for (at++;; at++) {
        if (at == len) return -1;
        if (s[at] == '"' && at + 1 < len && s[at + 1] == '"') at++;
        else if (s[at] == '"') break;
        tm_buf_put(out, s + at, 1);
      }
      told(out, "]");
      *text_end = ++at;
      if (at == len) return at;
      if (s[at] == '\n') return at + 1;
      if (s[at] == '\r' && at + 1 == len) return at + 1;
      if (s[at] == '\r' && s[at + 1] == '\n') return at + 2;
      if (s[at++] != delimiter) return -1;
    } else {
      int32_t from = at;
      while (at < len && s[at] != '\n' && s[at] != delimiter) at++;
      int ends = at == len || s[at] == '\n';
      *text_end = ends && at > from && s[at - 1] == '\r' ? at - 1 : at;
      tm_buf_put(out, s + from, (ends ? *text_end : at) - from);
      told(out, "]");
      if (ends) return at < len ? at + 1 : at;
      at++;
    }
  }
}

static int slow_blank(const char *s, int32_t n, char delimiter) {
  for (int32_t i = 0; i < n; i++)
    if ((s[i] != ' ' && s[i] != '\t') || s[i] == delimiter) return 0;
  return 1;
}

static void slow_read(const char *s, int32_t len, char delimiter, int32_t columns, int32_t max_event, struct tm_buf *out) {
  int32_t at = 0, line = 1;
  struct tm_buf row;
  tm_buf_init(&row, INT32_MAX / 2);
  while (at < len) {
    int32_t fields, end, quoted, first = at;
    row.len = 0;
    while (first < len && s[first] != '\n') first++;
    int32_t next = slow_row(s, at, len, delimiter, &row, &fields, &end, &quoted);
    int32_t bytes = next - at - (next > at && s[next - 1] == '\n');
    if (next < 0 || bytes > max_event) {
      told(out, first - at > max_event ? "%d long\n" : "%d quotes\n", line);
      at = first < len ? first + 1 : len;
      line++;
      continue;
    }
    int blank = fields == 1 && !quoted && (end == at || (columns > 1 && slow_blank(s + at, end - at, delimiter)));
    if (!blank && !tm_msgpack_utf8(s + at, (uint32_t)(end - at))) {
      told(out, "%d quotes\n", line);
    } else if (!blank && fields != columns) {
      told(out, "%d fields\n", line);
    } else if (!blank) {
      told(out, "%d ", line);
      tm_buf_put(out, row.data, row.len);
      told(out, "\n");
    }
    for (; at < next; at++) line += s[at] == '\n';
  }
  tm_buf_fini(&row);
}

/* ---- the reader, with as much text at a time as `step` ---- */

struct csv_under_test {
  struct tm_batch batch;
  struct tm_csv_names names;
  struct tm_cell *cells[CSV_COLUMNS];
};

static struct csv_under_test *csv_begin(int32_t columns, char delimiter) {
  struct csv_under_test *t = calloc(1, sizeof *t);
  if (t == NULL) abort();
  t->batch.fields = tm_fields_new();
  t->batch.format = TM_FORMAT_CSV;
  for (int32_t i = 0; i < columns; i++) {
    char name = (char)('a' + i);
    tm_csv_names_add(&t->names, &name, 1);
    /* columns are asked for in another order than they stand in */
    int32_t id = tm_ffi_fields_add(t->batch.fields, 0, (char[]){(char)('a' + columns - 1 - i)}, 1);
    t->cells[columns - 1 - i] = tm_ffi_fields_cells(t->batch.fields, id);
  }
  t->batch.csv = tm_csv_new(TM_FORMAT_CSV, delimiter, 0, &t->names, NULL);
  return t;
}

static __attribute__((unused)) void csv_end(struct csv_under_test *t) {
  tm_fields_free(t->batch.fields);
  tm_csv_free(t->batch.csv);
  free(t);
}

static void tell_row(struct csv_under_test *t, int32_t row, struct tm_buf *out) {
  struct tm_batch *b = &t->batch;
  int32_t line = (int32_t)b->line_first + b->line[row];
  if (b->status[row] != TM_LINE_OK) {
    char why[256];
    tm_csv_explain(b, row, why, sizeof why);
    told(out, b->status[row] == TM_LINE_FIELDS ? "%d fields\n" : "%d quotes\n", line);
    return;
  }
  told(out, "%d ", line);
  for (int32_t i = 0; i < t->names.n; i++) {
    const struct tm_cell *c = &t->cells[i][row];
    told(out, "[");
    tm_buf_put(out, b->raw + c->off, c->tag >> 4);
    told(out, "]");
  }
  told(out, "\n");
}

/* As io/source.c does: `step` more bytes whenever there are too few. */
static void csv_read(struct csv_under_test *t, const char *s, int32_t len, int32_t step, int32_t max_event, struct tm_buf *out) {
  int32_t head = 0, tail = 0;
  double line = 1;
  size_t side = 4 * (size_t)len + 4096;
  while (head < len) {
    struct tm_cut cut;
    int32_t n = tail - head;
    /* its own memory, with something behind it that must not matter */
    char *memory = malloc(TM_PAD + (size_t)n + TM_PAD + side + TM_PAD);
    if (memory == NULL) abort();
    memset(memory, '\n', TM_PAD);
    memset(memory + TM_PAD + n, step & 1 ? '"' : 0xff, TM_PAD);
    memcpy(memory + TM_PAD, s + head, (size_t)n);
    t->batch.side = memory + TM_PAD + n + TM_PAD;
    t->batch.side_cap = (int32_t)side;
    t->batch.line_first = line;
    tm_csv_decode(&t->batch, memory + TM_PAD, n, tail == len, max_event, &cut);
    for (int32_t row = 0; row < t->batch.rows; row++) tell_row(t, row, out);
    free(memory);
    head += cut.used;
    line += cut.lines;
    if (cut.used > 0) continue;
    if (n > max_event || cut.need > max_event) {
      const char *lf = memchr(s + head, '\n', (size_t)(len - head));
      told(out, "%.0f long\n", line);
      head = lf == NULL ? len : (int32_t)(lf - s) + 1;
      line += 1;
      if (tail < head) tail = head;
    } else if (tail == len) {
      break;
    }
    tail = len - tail < step ? len : tail + step;
  }
}

#endif
