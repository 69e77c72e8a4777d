/* record.c - which lines are one record (record.h). */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../library/pattern.h"

struct tm_record *tm_record_new(const char *start, int32_t len, int32_t lines_max, double timeout_ms) {
  struct tm_record *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->text = calloc((size_t)len + 1, 1);
  r->start = calloc((size_t)tm_ffi_pattern_room(len), sizeof *r->start);
  if (r->text == NULL || r->start == NULL) {
    tm_record_free(r);
    return NULL;
  }
  memcpy(r->text, start, (size_t)len);
  r->text_len = len;
  tm_ffi_pattern_compile(start, len, 1, r->start);
  r->lines_max = lines_max;
  r->timeout_ms = timeout_ms;
  r->begins = -1;
  return r;
}

void tm_record_free(struct tm_record *r) {
  if (r == NULL) return;
  free(r->text);
  free(r->start);
  free(r);
}

/* A record is at the head of which nothing was looked at. begins: does its first line match? -1 not known. */
static void begin(struct tm_record *r, int begins, enum tm_record_end why) {
  r->held = r->held_lines = r->held_stop = r->held_crlf = 0;
  r->begins = begins;
  r->why = why;
}

void tm_record_forget(struct tm_record *r) { begin(r, -1, TM_RECORD_UNKNOWN); }

static int is_start(struct tm_record *r, const char *line, int32_t len) {
  int found = tm_pattern_is_in(r->start, line, len);
  r->broken_off += found < 0;
  return found > 0;
}

/* One more line belongs to the record. */
static void take(struct tm_record *r, int32_t stop, int32_t next) {
  r->held_crlf |= r->held - r->held_stop == 2;
  r->held_stop = stop;
  r->held = next;
  r->held_lines++;
}

enum tm_record_walked tm_record_walk(struct tm_record *r, const char *text, int32_t at, int32_t len, int final, int32_t max_event,
                                     struct tm_record_row *row) {
  int starts = -1;
  enum tm_record_end why = TM_RECORD_UNKNOWN;
  if (r->held > len - at) tm_record_forget(r);
  for (;;) {
    int32_t from = at + r->held;
    const char *lf = from < len ? memchr(text + from, '\n', (size_t)(len - from)) : NULL;
    int32_t end = lf != NULL ? (int32_t)(lf - text) : len;
    if (end - at > max_event) {  /* also while the line goes on: a start or not, it does not fit */
      if (r->held_lines == 0) return TM_RECORD_LONG;
      why = TM_RECORD_BY_BYTES;
      break;
    }
    if (lf == NULL && !final) return TM_RECORD_MORE;
    if (from == len) break;
    int32_t stop = end - (end > from && text[end - 1] == '\r');
    if (r->held_lines > 0 || r->begins < 0) starts = is_start(r, text + from, stop - from);
    if (r->held_lines == 0) {
      if (r->begins < 0) r->begins = starts;
    } else if (starts || r->held_lines == r->lines_max) {
      why = starts ? TM_RECORD_UNKNOWN : TM_RECORD_BY_LINES;
      break;
    }
    take(r, stop - at, end + (lf != NULL) - at);
    starts = -1;
  }
  *row = (struct tm_record_row){at + r->held_stop, at + r->held, r->held_lines, r->begins, r->held_crlf};
  begin(r, starts, why);
  return TM_RECORD_DONE;
}
