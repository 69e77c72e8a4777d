/* record_slow.h - which lines of a text are one record, found the slow and obvious way, and what the reader makes of it in pieces.
 *
 * Both write the same account, for each record its line and its text, or why it is none; and count those that are part of another. */
#ifndef TM_TESTS_RECORD_SLOW_H
#define TM_TESTS_RECORD_SLOW_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/base/buf.h"
#include "../../host/codec/csv.h"
#include "../../host/codec/msgpack_bytes.h"

/* ---- the slow way ---- */

enum { STARTS = 4 };
static const char *const starts[STARTS] = {"^S", "E$", "xx", "^$"};

static int slow_starts(int which, const char *line, int32_t n) {
  switch (which) {
    case 0: return n > 0 && line[0] == 'S';
    case 1: return n > 0 && line[n - 1] == 'E';
    case 2:
      for (int32_t i = 0; i + 1 < n; i++)
        if (line[i] == 'x' && line[i + 1] == 'x') return 1;
      return 0;
    default: return n == 0;
  }
}

/* A line: from, its LF or the text's end, where it ends without CR. */
struct slow_line { int32_t from, end, stop; };

static void slow_tell(struct tm_buf *out, int32_t line, const char *what, const char *text, int32_t len) {
  char head[64];
  int n = snprintf(head, sizeof head, "%d %s[", line, what);
  if (tm_buf_put(out, head, n) != 0 || tm_buf_put(out, text, len) != 0 || tm_buf_put(out, "]\n", 2) != 0) abort();
}

/* How many are part of another one. */
static int32_t slow_records(const char *s, int32_t len, int which, int32_t lines_max, int32_t max_event, struct tm_buf *out) {
  struct slow_line *lines = calloc((size_t)len + 1, sizeof *lines);
  struct tm_buf text;
  int32_t n = 0, parts = 0;
  if (lines == NULL) abort();
  tm_buf_init(&text, INT32_MAX / 2);
  for (int32_t at = 0; at < len; n++) {
    struct slow_line *l = &lines[n];
    l->from = l->end = at;
    while (l->end < len && s[l->end] != '\n') l->end++;
    l->stop = l->end - (l->end > l->from && s[l->end - 1] == '\r');
    at = l->end + 1;
  }
  for (int32_t i = 0, next; i < n; i = next) {
    const struct slow_line *a = &lines[i];
    next = i + 1;
    if (a->end - a->from > max_event) {
      slow_tell(out, i + 1, "long", "", 0);
      continue;
    }
    while (next < n && next - i < lines_max && lines[next].end - a->from <= max_event &&
           !slow_starts(which, s + lines[next].from, lines[next].stop - lines[next].from))
      next++;
    parts += i > 0 && !slow_starts(which, s + a->from, a->stop - a->from);
    text.len = 0;
    for (int32_t k = i; k < next; k++) {
      if (k > i) tm_buf_put(&text, "\n", 1);
      tm_buf_put(&text, s + lines[k].from, lines[k].stop - lines[k].from);
    }
    if (tm_msgpack_utf8(s + a->from, (uint32_t)(lines[next - 1].stop - a->from))) slow_tell(out, i + 1, "", text.data, text.len);
    else slow_tell(out, i + 1, "bad", "", 0);
  }
  free(lines);
  tm_buf_fini(&text);
  return parts;
}

/* ---- the reader ---- */

struct records_under_test {
  struct tm_batch batch;
  struct tm_cell *cells;
};

static void records_start(struct records_under_test *t, int which, int32_t lines_max) {
  tm_record_free(t->batch.csv->record);
  t->batch.csv->record = tm_record_new(starts[which], (int32_t)strlen(starts[which]), lines_max, 1000);
}

static struct records_under_test *records_begin(void) {
  struct records_under_test *t = calloc(1, sizeof *t);
  if (t == NULL) abort();
  t->batch.fields = tm_fields_new();
  t->batch.format = TM_FORMAT_LINES;
  t->batch.csv = tm_csv_new(TM_FORMAT_LINES, ',', 0, tm_csv_names_line(), NULL);
  t->cells = tm_ffi_fields_cells(t->batch.fields, tm_ffi_fields_add(t->batch.fields, 0, "line", 4));
  return t;
}

static __attribute__((unused)) void records_end(struct records_under_test *t) {
  tm_fields_free(t->batch.fields);
  tm_csv_free(t->batch.csv);
  free(t);
}

/* Of n bytes the first `len`. */
static void records_decode(struct records_under_test *t, char *memory, int32_t n, int32_t len, size_t side, double line, int final,
                           int32_t max_event, struct tm_cut *cut) {
  t->batch.side = memory + TM_PAD + n + TM_PAD;
  t->batch.side_cap = (int32_t)side;
  t->batch.line_first = line;
  tm_csv_decode(&t->batch, memory + TM_PAD, len, final, max_event, cut);
}

/* `again`: the next worker's. It must find the same records in what was consumed, knowing nothing else; wrong ones are told. */
static void records_tell(struct records_under_test *t, const struct records_under_test *again, struct tm_buf *out) {
  static struct tm_cell met[TM_BATCH_ROWS];
  const struct tm_batch *b = &t->batch;
  if (again->batch.rows != b->rows || memcmp(again->batch.off, b->off, (size_t)b->rows * sizeof *b->off) != 0 ||
      memcmp(again->batch.len, b->len, (size_t)b->rows * sizeof *b->len) != 0)
    slow_tell(out, b->rows, "others after a death", "", 0);
  memcpy(met, t->cells, sizeof met);
  tm_csv_fill(&t->batch, 1);   /* as a field that is met late */
  for (int32_t row = 0; row < b->rows; row++) {
    const struct tm_cell *c = &t->cells[row];
    int32_t line = (int32_t)b->line_first + b->line[row];
    int bad = b->status[row] != TM_LINE_OK;
    if (!bad && (c->tag != met[row].tag || memcmp(b->raw + c->off, b->raw + met[row].off, (size_t)(c->tag >> 4)) != 0))
      slow_tell(out, line, "other when met late", "", 0);
    slow_tell(out, line, bad ? "bad" : "", b->raw + c->off, bad ? 0 : c->tag >> 4);
  }
}

/* As io/source_cut.c does: `step` more bytes whenever there are too few. forgets: of so many pieces one worker dies. How many are part
 * of another one. */
static int32_t records_read(struct records_under_test *t, struct records_under_test *again, const char *s, int32_t len, int32_t step,
                            int forgets, int32_t max_event, struct tm_buf *out) {
  int32_t head = 0, tail = 0, pieces = 0, parts = 0;
  double line = 1;
  size_t side = 4 * (size_t)len + 4096;
  tm_record_forget(t->batch.csv->record);
  while (head < len) {
    struct tm_cut cut, cut_again;
    int32_t n = tail - head;
    /* its own memory, with something behind it that must not matter */
    char *memory = malloc(TM_PAD + (size_t)n + TM_PAD + side + TM_PAD);
    if (memory == NULL) abort();
    memset(memory, '\n', TM_PAD);
    memset(memory + TM_PAD + n, step & 1 ? 'S' : '\n', TM_PAD);
    memcpy(memory + TM_PAD, s + head, (size_t)n);
    records_decode(t, memory, n, n, side, line, tail == len, max_event, &cut);
    parts += cut.parts;
    tm_record_forget(again->batch.csv->record);
    records_decode(again, memory, n, cut.used, side, line, 1, max_event, &cut_again);
    /* writes beside the text what `t` has there */
    records_tell(t, again, out);
    free(memory);
    head += cut.used;
    line += cut.lines;
    if (forgets > 0 && ++pieces % forgets == 0) tm_record_forget(t->batch.csv->record);
    if (cut.used > 0) continue;
    if (n > max_event || cut.need > max_event) {
      const char *lf = memchr(s + head, '\n', (size_t)(len - head));
      slow_tell(out, (int32_t)line, "long", "", 0);
      tm_record_forget(t->batch.csv->record);
      head = lf == NULL ? len : (int32_t)(lf - s) + 1;
      line += 1;
      if (tail < head) tail = head;
    } else if (tail == len) {
      break;
    }
    tail = len - tail < step ? len : tail + step;
  }
  return parts;
}

#endif
