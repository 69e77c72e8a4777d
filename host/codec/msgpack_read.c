/* msgpack_read.c - msgpack messages to batches, framed, checked and read in one pass (msgpack_codec.h).
 *
 * A scanner (msgpack_scan.h) reads a message. One that does not end within the text is given up and read again when there is
 * more; one that is no event is passed over by its structure alone. Cells hold places in the messages: the payload of a str
 * (with the length of its head in num, tm_cell_head), all of any other value. One thread. */
#include <string.h>

#include "../base/err.h"
#include "json.h"
#include "msgpack_codec.h"
#include "msgpack_scanner.h"

enum {
  BATCH_BYTES = 1 << 20,             /* raw text of a batch, unless one event is larger */
  EVENT_BYTES = (1 << 27) - 1,       /* a cell's tag has 27 bits for a length */
  CLEAR_FIRST = 16, CLEAR_MORE = 128 /* rows made absent at a time */
};

/* The instruction set is that of the JSON reader. */
tm_msgpack_scanner *tm_msgpack_scanner_used(void) {
#if defined(__x86_64__)
  if (strcmp(tm_json_used(), "avx2") == 0) return tm_msgpack_scan_avx2;
#endif
  return tm_msgpack_scan_plain;
}

void tm_msgpack_rows_clear(struct tm_fields *f, int32_t from, int32_t to) {
  for (int32_t id = 1; id < f->n; id++) {
    struct tm_cell *cells = f->list[id].cells, none = cells[TM_ROW_EMPTY];
    for (int32_t row = from; row < to; row++) cells[row] = none;
    if (f->list[id].words != NULL) memset(f->list[id].words->codes + from, 0, (size_t)(to - from));
  }
}

int32_t tm_msgpack_rows_ready(struct tm_batch *b) {
  int32_t cleared = b->rows + (b->rows == 0 ? CLEAR_FIRST : CLEAR_MORE);
  if (cleared > TM_BATCH_ROWS) cleared = TM_BATCH_ROWS;
  tm_msgpack_rows_clear(b->fields, b->rows, cleared);
  return cleared;
}

int32_t tm_msgpack_status(enum tm_msgpack_fault fault) {
  switch (fault) {
    case TM_MSGPACK_FINE: return TM_LINE_NOT_OBJECT;
    case TM_MSGPACK_DEEP: return TM_LINE_TOO_DEEP;
    default: return TM_LINE_SYNTAX;
  }
}

void tm_msgpack_row_add(struct tm_batch *b, const char *p, const char *end, int32_t status) {
  int32_t row = b->rows++;
  b->off[row] = b->line[row] = (int32_t)(p - b->raw);
  b->len[row] = (int32_t)(end - p);
  b->origin[row] = row;
  b->status[row] = (uint8_t)status;
  b->twice[row] = 0;
  b->bad += status != TM_LINE_OK;
}

void tm_msgpack_batch_begin(struct tm_batch *b, const char *text) {
  b->raw = text;
  b->rows = 0;
  b->bad = 0;
  b->side_len = 0;
  b->text_row = 0;
}

static const char *broken_why(enum tm_msgpack_walked walked) {
  if (walked == TM_MSGPACK_DONE) return NULL;
  return walked == TM_MSGPACK_BROKEN ? "0xc1 begins no value of msgpack" : "the input ends inside a message";
}

/* A message that is no event, at p: a bad row, if its end is there or cannot be found. Returns the end; NULL: more bytes
 * are needed. */
static const char *row_refuse(struct tm_batch *b, const struct tm_msgpack_reader *r, const char *p, int final, int32_t max_event,
                              struct tm_cut *cut) {
  struct tm_msgpack_walk w = {.values = 1};
  const char *end = p;
  enum tm_msgpack_walked walked = tm_msgpack_walk(&w, &end, r->end);
  uint64_t size = (uint64_t)(end - p) + tm_msgpack_walk_least(&w);
  int long_one = size > (uint64_t)max_event && walked != TM_MSGPACK_BROKEN;
  if (walked == TM_MSGPACK_MORE && !final) {
    cut->need = size < INT32_MAX ? (int32_t)size : INT32_MAX;
    return NULL;
  }
  cut->broken = broken_why(walked);
  tm_msgpack_rows_clear(b->fields, b->rows, b->rows + 1);
  if (cut->broken != NULL) {
    cut->broken_at = (int32_t)(end - b->raw);
    end = r->end;
  }
  tm_msgpack_row_add(b, p, end, long_one ? TM_LINE_TOO_LONG : cut->broken != NULL ? TM_LINE_SYNTAX : tm_msgpack_status(r->fault));
  return end;
}

int32_t tm_msgpack_skip(struct tm_skip *skip, const char *text, int32_t len, const char **broken) {
  struct tm_msgpack_walk w = {.values = skip->begun ? skip->values : 1, .bytes = skip->bytes};
  const char *p = text;
  enum tm_msgpack_walked walked = tm_msgpack_walk(&w, &p, text + len);
  *broken = walked == TM_MSGPACK_BROKEN ? broken_why(walked) : NULL;
  *skip = (struct tm_skip){.values = w.values, .bytes = w.bytes, .begun = 1, .over = walked == TM_MSGPACK_DONE};
  return (int32_t)(p - text);
}

void tm_msgpack_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event,
                       struct tm_cut *cut) {
  struct tm_msgpack_reader r = {.base = text, .end = text + len, .shape = tm_json_shape_get(b->fields)};
  tm_msgpack_scanner *scan = tm_msgpack_scanner_used();
  const char *p = text;
  int32_t cleared = 0;
  TM_ASSERT(r.shape != NULL);
  if (max_event > EVENT_BYTES) max_event = EVENT_BYTES;
  tm_msgpack_batch_begin(b, text);
  *cut = (struct tm_cut){0};
  while (p < r.end && b->rows < TM_BATCH_ROWS && p - text < BATCH_BYTES) {
    if (b->rows == cleared) cleared = tm_msgpack_rows_ready(b);
    r.row = b->rows;
    r.twice = 0;
    r.fault = TM_MSGPACK_FINE;
    const char *end = scan(&r, p);
    if (__builtin_expect(end != NULL && end - p <= max_event, 1)) {
      if (end - text > BATCH_BYTES && b->rows > 0) break;
      tm_msgpack_row_add(b, p, end, TM_LINE_OK);
      b->twice[r.row] = (uint8_t)r.twice;
    } else if ((end = row_refuse(b, &r, p, final, max_event, cut)) == NULL) {
      break;
    }
    p = end;
    if (cut->broken != NULL) break;
  }
  cut->used = cut->lines = (int32_t)(p - text);
  if (p > text) cut->need = 0;
}

void tm_msgpack_fill(struct tm_batch *b, int32_t id) {
  struct tm_fields *f = b->fields;
  if (id <= 0 || id >= f->n) return;
  /* What the batch was decoded with knows the field: every number is there, if only as a NaN. */
  const struct tm_json_shape *learnt = f->codec_data;
  if (learnt != NULL && learnt->version == f->version) return;
  struct tm_msgpack_reader r = {.base = b->raw, .shape = tm_json_shape_new(f, id)};
  tm_msgpack_scanner *scan = tm_msgpack_scanner_used();
  TM_ASSERT(r.shape != NULL);
  for (int32_t row = 0; row < b->rows; row++) {
    tm_field_absent(&f->list[id], row);
    if (b->status[row] != TM_LINE_OK) continue;
    r.row = row;
    r.end = b->raw + b->off[row] + b->len[row];
    r.twice = 0;
    scan(&r, b->raw + b->off[row]);
    b->twice[row] |= (uint8_t)r.twice;
  }
  tm_json_shape_free(r.shape);
}
