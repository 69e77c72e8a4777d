/* csv_walk.c - one row of CSV, field by field (tm_csv_walk of csv.h): the definition of what a row is.
 *
 *   abc , "a ""b"" c" , 5" pipe CR LF      a field is quoted if its first byte is a quote; then its end is the first quote that
 *   |_|   |_________|   |_____|            does not stand twice, and a delimiter or the row's end must follow
 *
 * Fields of rows without quotes are found faster by csv_scan.h; headers, rows with quotes, fields met late and what is told
 * to people go this way. Linear; 16 bytes at a time where there are so many. Nothing is copied, nothing is kept. */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "../base/buf.h"
#include "csv.h"

/* The first a or b in [p, end), or end. */
static inline const char *find(const char *p, const char *end, char a, char b) {
#ifdef __SSE2__
  const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b);
  for (; p < end; p += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    int mask = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(x, va), _mm_cmpeq_epi8(x, vb)));
    if (mask == 0) continue;
    p += __builtin_ctz((unsigned)mask);
    return p < end ? p : end;
  }
  return end;
#else
  while (p < end && *p != a && *p != b) p++;
  return p;
#endif
}

/* The quote that closes a field whose content begins at p, or end: there is none yet. A quote that is the last byte may be
 * the first of two. */
static const char *closing(const char *p, const char *end, int final, uint8_t *doubled) {
  for (;;) {
    p = find(p, end, '"', '"');
    if (p == end) return end;
    if (p + 1 == end) return final ? p : end;
    if (p[1] != '"') return p;
    *doubled = 1;
    p += 2;
  }
}

/* The bytes of a row's end at p: 1 a LF, 2 a CR and a LF; at the end of a file nothing, or a CR. -1: it is none; -2: only
 * the next byte tells. */
static inline int line_end(const char *p, const char *end, int final) {
  if (p == end) return final ? 0 : -2;
  if (*p == '\n') return 1;
  if (*p != '\r') return -1;
  if (p + 1 == end) return final ? 1 : -2;
  return p[1] == '\n' ? 2 : -1;
}

static int32_t count_lines(const char *p, const char *end) {
  int32_t n = 0;
  for (; (p = find(p, end, '\n', '\n')) < end; p++) n++;
  return n;
}

enum tm_csv_walked tm_csv_walk(const char *text, int32_t from, int32_t len, int final, char delimiter, struct tm_csv_row *row,
                               struct tm_csv_span *spans, int32_t max) {
  const char *p = text + from, *end = text + len;
  char stop = delimiter == TM_CSV_NO_DELIMITER ? '\n' : delimiter;
  row->fields = row->lines = 0;
  for (;;) {
    struct tm_csv_span span = {.off = (int32_t)(p - text)};
    const char *q;
    int ends;
    if (p < end && *p == '"' && delimiter != TM_CSV_NO_DELIMITER) {
      q = closing(p + 1, end, final, &span.doubled);
      row->at = span.off;
      if (q == end) return final ? TM_CSV_OPEN : TM_CSV_MORE;
      span.quoted = 1;
      span.off++;
      span.len = (int32_t)(q - p) - 1;
      row->lines += count_lines(p, q);
      q++;
      row->stop = (int32_t)(q - text);
      ends = q < end && *q == delimiter ? -1 : line_end(q, end, final);
      row->at = row->stop;
      if (ends == -1 && *q != delimiter) return TM_CSV_BEHIND;
    } else {
      q = find(p, end, stop, '\n');
      row->at = -1;
      ends = q < end && *q != '\n' ? -1 : line_end(q, end, final);
      /* the CR of a row's end, or of a file's */
      int cr = (ends > 0 || (ends == 0 && final != TM_CSV_WHOLE)) && q > p && q[-1] == '\r';
      row->stop = (int32_t)(q - text) - cr;
      span.len = (int32_t)(q - p) - cr;
    }
    if (ends == -2) return TM_CSV_MORE;
    if (row->fields < max) spans[row->fields] = span;
    row->fields++;
    if (ends >= 0) {
      row->next = (int32_t)(q - text) + ends;
      row->lines++;
      return TM_CSV_DONE;
    }
    p = q + 1;
  }
}

int32_t tm_csv_span_put(struct tm_buf *out, const char *text, const struct tm_csv_span *span) {
  const char *p = text + span->off, *end = p + span->len;
  if (tm_csv_span_plain(span)) return tm_buf_put(out, p, span->len);
  if (tm_buf_reserve(out, span->len) != 0) return -1;
  while (p < end) {
    /* one of two quotes is left out, or the CR in front of a LF */
    const char *q = span->doubled ? find(p, end, '"', '"') : find(p, end, '\n', '\n');
    const char *stop = q == end ? end : span->doubled ? q + 1 : q - (q > p && q[-1] == '\r');
    if (tm_buf_put(out, p, (int32_t)(stop - p)) != 0) return -1;
    if (q < end && span->crlf && tm_buf_put(out, "\n", 1) != 0) return -1;
    p = q < end ? q + 1 + span->doubled : q;
  }
  return 0;
}
