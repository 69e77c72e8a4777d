/* json_read.c - NDJSON to batches: framing, rows, line numbers, bad lines; picks the scanner.
 *
 * Lines are cut first, up to a batch of them in one SIMD pass, so that each is read from a known start and the processor
 * begins one before it has finished the last. The scanner (json_scan.h) reads a line; what it refuses
 * gets a status here, and its row is made absent again in every column.
 * A line is judged by itself: nothing of a bad one reaches the next, and no byte is looked at more than a fixed number of
 * times. The only copy ever made is of a last line without LF, so that scanners need not know where a text ends.
 * One thread. Without memory for its index the reader stops the program: there is nothing useful to go on with. */
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "json.h"
#include "json_scanner.h"

enum {
  BATCH_BYTES = 1 << 20,             /* raw text of a batch, unless one event is larger */
  EVENT_BYTES = (1 << 27) - 1        /* a cell's tag has 27 bits for a length */
};

static const struct tm_json_scanner *in_force;

static const struct tm_json_scanner *scanner_best(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
    return &tm_json_scanner_avx2;
  }
#endif
  return &tm_json_scanner_portable;
}

const char *tm_json_use(const char *name) {
  const struct tm_json_scanner *best = scanner_best();
  if (name == NULL) {
    in_force = best;
  } else if (strcmp(name, tm_json_scanner_portable.name) == 0) {
    in_force = &tm_json_scanner_portable;
  } else if (strcmp(name, best->name) == 0) {
    in_force = best;
  } else {
    return NULL;
  }
  return in_force->name;
}

static const struct tm_json_scanner *scanner(void) {
  if (in_force == NULL && tm_json_use(getenv("TIDEMILL_SIMD")) == NULL) tm_json_use(NULL);
  return in_force;
}

const char *tm_json_used(void) {
  return scanner()->name;
}

static int is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

/* A line that is no event: its row absent again, its text without the white space around. */
static void row_refuse(struct tm_batch *b, int32_t row, int32_t status, int32_t start, int32_t end) {
  struct tm_fields *f = b->fields;
  for (int32_t id = 1; id < f->n; id++) tm_field_absent(&f->list[id], row);
  while (start < end && is_space(b->raw[start])) start++;
  while (end > start && is_space(b->raw[end - 1])) end--;
  b->off[row] = start;
  b->len[row] = end - start;
  b->status[row] = (uint8_t)status;
  b->bad++;
}

static int is_blank(const char *text, int32_t start, int32_t end) {
  while (start < end && is_space(text[start])) start++;
  return start == end;
}

/* Reads the line b->raw[start..end) into the next slot, if there is anything in it. `at` is where its bytes stand with
 * a LF behind them: in raw, or in a copy. */
static void row_read(const struct tm_json_scanner *sc, struct tm_json_scan *s, struct tm_batch *b, const char *at,
                     int32_t start, int32_t end, int32_t max_event, int32_t line) {
  const char *object = at;
  int32_t row = b->rows, len = 0, status;
  if (__builtin_expect(end - start > max_event, 0)) {
    status = is_blank(b->raw, start, end) ? -1 : TM_LINE_TOO_LONG;
  } else {
    s->base = at;
    s->shift = start;
    s->end = at + (end - start);
    s->row = row;
    s->twice = 0;
    status = sc->line(s, at, &object, &len);
  }
  if (status < 0) return;
  b->rows = row + 1;
  b->line[row] = line;
  b->origin[row] = row;
  if (__builtin_expect(status != TM_LINE_OK, 0)) {
    row_refuse(b, row, status, start, end);
    return;
  }
  b->off[row] = start + (int32_t)(object - at);
  b->len[row] = len;
  b->status[row] = TM_LINE_OK;
  b->twice[row] = (uint8_t)s->twice;
}

/* The last line, which no LF ends: read from a copy that has one. */
static void row_read_last(const struct tm_json_scanner *sc, struct tm_json_scan *s, struct tm_batch *b, int32_t start,
                          int32_t end, int32_t max_event, int32_t line) {
  size_t n = (size_t)(end - start);
  if (end - start > max_event) n = 0;
  char *copy = calloc(1, n + 1 + TM_PAD);
  TM_ASSERT(copy != NULL);
  memcpy(copy, b->raw + start, n);
  copy[n] = '\n';
  row_read(sc, s, b, copy, start, end, max_event, line);
  free(copy);
}

/* The ends of the lines that make up the next batch, at most TM_BATCH_ROWS: *upto is how far the text was considered. A
 * first line longer than a batch is found alone. */
static int32_t frame(const struct tm_json_scanner *sc, const char *text, int32_t len, int32_t *ends, int32_t *upto) {
  *upto = len < BATCH_BYTES ? len : BATCH_BYTES;
  int32_t n = sc->lines(text, *upto, ends, TM_BATCH_ROWS);
  if (n > 0 || *upto == len) return n;
  const char *lf = memchr(text + *upto, '\n', (size_t)(len - *upto));
  *upto = len;
  if (lf == NULL) return 0;
  ends[0] = (int32_t)(lf - text);
  return 1;
}

int32_t tm_json_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event,
                       int32_t *lines_out) {
  const struct tm_json_scanner *sc = scanner();
  int32_t ends[TM_BATCH_ROWS + 64];
  int32_t at = 0, lines = 0, upto, n;
  struct tm_json_scan s = {.shape = tm_json_shape_get(b->fields)};
  TM_ASSERT(s.shape != NULL);
  if (max_event > EVENT_BYTES) max_event = EVENT_BYTES;
  b->raw = text;
  b->rows = 0;
  b->bad = 0;
  /* Blank lines take no slot: go on until there is an event, or no line left. */
  do {
    int32_t from = at;
    n = frame(sc, text + from, len - from, ends, &upto);
    tm_fields_clear(b->fields, n + 1);
    for (int32_t i = 0; i < n; i++) {
      row_read(sc, &s, b, text + at, at, from + ends[i], max_event, lines++);
      at = from + ends[i] + 1;
    }
    /* What is left behind the last LF is the last line if all of the text was looked at and this batch has room for it. */
    int last = final && n < TM_BATCH_ROWS && from + upto == len && at < len;
    if (last && (b->rows == 0 || upto <= BATCH_BYTES) &&
        memchr(text + at, '\n', (size_t)(len - at)) == NULL) {
      row_read_last(sc, &s, b, at, len, max_event, lines++);
      at = len;
    }
  } while (b->rows == 0 && n > 0 && at < len);
  *lines_out = lines;
  return at;
}

void tm_json_fill(struct tm_batch *b, int32_t id) {
  struct tm_fields *f = b->fields;
  if (id <= 0 || id >= f->n) return;
  const struct tm_json_scanner *sc = scanner();
  struct tm_json_scan s = {.base = b->raw, .shape = tm_json_shape_new(f, id)};
  TM_ASSERT(s.shape != NULL);
  for (int32_t row = 0; row < b->rows; row++) {
    tm_field_absent(&f->list[id], row);
    if (b->status[row] != TM_LINE_OK) continue;
    s.row = row;
    s.end = b->raw + b->off[row] + b->len[row];
    s.twice = 0;
    sc->object(&s, b->raw + b->off[row]);
    b->twice[row] |= (uint8_t)s.twice;
  }
  tm_json_shape_free(s.shape);
}

void tm_json_object_read(struct tm_json_scan *s, const char *p) { scanner()->object(s, p); }

int32_t tm_ffi_json_check(const char *text, int32_t len, int32_t *err_at) {
  enum { SMALL = 4096 };
  char small[SMALL + 1 + TM_PAD];
  char *copy = small;
  if (len > SMALL) copy = malloc((size_t)len + 1 + TM_PAD);
  TM_ASSERT(copy != NULL);
  if (len > 0) memcpy(copy, text, (size_t)len);
  memset(copy + len, 0, 1 + TM_PAD);
  struct tm_json_scan s = {.base = copy, .end = copy + len, .lf = 1};
  int32_t rc = scanner()->text(&s, copy);
  if (copy != small) free(copy);
  if (rc != 0) {
    struct tm_json_fault fault;
    tm_json_fault_find(text, len, 0, &fault);
    *err_at = fault.at;
  }
  return rc;
}
