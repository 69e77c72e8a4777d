/* csv_scan.h - the CSV decoder, as text for several instruction sets.
 *
 * Included once by each csv_scan_*.c, which first defines
 *   SCANNER                                          the struct tm_csv_scanner to define
 *   void index_piece(s)                              fills marks, lines, quotes and high of s
 *   int quick_read(p, struct quick *), double quick_value(p, const struct quick *)       as for json_scan.h
 * so that everything is inlined into one loop over the rows. */
#include "cell.h"
#include "csv_scanner.h"
#include "msgpack_bytes.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A text that scripts read as something else. A short number is read on the spot. */
static inline void typed_put(struct tm_cell *c, const char *p, int32_t len, int32_t type) {
  struct quick q;
  double num = tm_cell_num(0);
  int kind = TM_KIND_NUMBER;
  if (LIKELY(type == TM_TEXT_NUMBER) && LIKELY(quick_read(p, &q)) && LIKELY(q.end == len) && LIKELY(q.digits <= TM_JSON_DIGITS_SAFE)) {
    num = quick_value(p, &q);
  } else {
    kind = tm_csv_value(p, len, type, &num);
  }
  c->num = num;
  c->tag = (int32_t)((uint32_t)len << 4 | (uint32_t)kind);
}

static inline void put_field(const struct tm_csv_want *w, int32_t row, const char *raw, int32_t off, int32_t len) {
  struct tm_cell *c = &w->cells[row];
  c->off = off;
  if (w->type != TM_TEXT_STRING) {
    typed_put(c, raw + off, len, w->type);
    return;
  }
  c->num = tm_cell_num(0);
  c->tag = (int32_t)((uint32_t)len << 4 | TM_KIND_STRING);
  if (w->words != NULL) w->words->codes[row] = tm_words_id(w->words, raw + off, len);
}

/* The row whose marks begin at `mark`: its end is at `end`. */
static inline void put_row(struct tm_csv_scan *s, struct tm_batch *b, int32_t mark, int32_t start, int32_t stop) {
  const int32_t *marks = s->marks + mark;
  int32_t row = b->rows++;
  for (int32_t i = 0; i < s->wants_n; i++) {
    const struct tm_csv_want *w = &s->wants[i];
    int32_t from = w->column == 0 ? start : marks[w->column - 1] + 1;
    int32_t to = w->last ? stop : marks[w->column];
    put_field(w, row, b->raw, s->base + from, to - from);
  }
  b->off[row] = s->base + start;
  b->len[row] = stop - start;
  b->status[row] = TM_LINE_OK;
  b->twice[row] = 0;
}

static void read_rows(struct tm_csv_scan *s, struct tm_batch *b, int32_t end_max, int32_t max_event, int32_t *lines) {
  const char *piece = s->piece;
  int32_t start = s->row_at, mark = s->mark, line = s->line, quote = s->quotes[s->quote], columns = s->columns, passed = *lines;
  while (line < s->lines_n && b->rows < TM_BATCH_ROWS) {
    int32_t last = s->lines[line], end = s->marks[last];
    int32_t stop = end - (end > start && piece[end - 1] == '\r');
    if (UNLIKELY(quote < end) || UNLIKELY(last + 1 - mark != columns) || UNLIKELY(end - start > max_event)) break;
    if (UNLIKELY(stop == start && s->delimiter != TM_CSV_NO_DELIMITER) || UNLIKELY(s->base + end >= end_max)) break;
    if (UNLIKELY(s->high) && !tm_msgpack_utf8(piece + start, (uint32_t)(stop - start))) break;
    b->line[b->rows] = passed++;
    put_row(s, b, mark, start, stop);
    start = end + 1;
    mark = last + 1;
    line++;
  }
  s->row_at = start;
  s->mark = mark;
  s->line = line;
  *lines = passed;
}

const struct tm_csv_scanner SCANNER = {.index = index_piece, .rows = read_rows, .put = put_field};
