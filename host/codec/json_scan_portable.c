/* json_scan_portable.c - the JSON decoder in plain C, for every processor.
 *
 * Eight bytes at a step by arithmetic on words, byte by byte where the byte order does not allow it. It answers as the
 * other scanners do, to the bit: tests compare them on valid, mutated and random texts. */
#include "json.h"
#include "json_scanner.h"

#include <string.h>

#define SCANNER tm_json_scanner_portable
#define SCANNER_NAME "portable"

enum { STEP = 8 };

/* A short number without exponent. */
struct quick {
  int32_t end;      /* its length */
  int32_t digits;
  int32_t minus;    /* 0 or 1 */
  int32_t point;    /* digits behind the point */
  uint64_t m;       /* the digits as an integer, if there are at most TM_JSON_DIGITS_SAFE */
};

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

static const uint64_t ones = 0x0101010101010101u;
static const uint64_t tops = 0x8080808080808080u;

static inline uint64_t word(const char *p) {
  uint64_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

/* The top bit of each byte of w that is zero. The borrow may also mark bytes behind the first one: only the first is
 * looked at. */
static inline uint64_t zeros(uint64_t w) {
  return (w - ones) & ~w & tops;
}

static inline int32_t stops(const char *p) {
  uint64_t w = word(p);
  uint64_t m = zeros(w ^ ones * '"') | zeros(w ^ ones * '\\') | ((w - ones * 0x20) & ~w & tops) | (w & tops);
  return m == 0 ? STEP : __builtin_ctzll(m) >> 3;
}

static inline int32_t line_stop(const char *p) {
  uint64_t m = zeros(word(p) ^ ones * '\n');
  return m == 0 ? STEP : __builtin_ctzll(m) >> 3;
}

static inline int step_here(const char *p, const struct tm_json_step *step) {
  int32_t n = step->len;
  const char *t = step->text;
  for (; n > 8; n -= 8, p += 8, t += 8) {
    if (word(p) != word(t)) return 0;
  }
  return (word(p) ^ word(t)) << (64 - 8 * n) == 0;
}

#else

static inline int is_stop(char c) {
  return (signed char)c < 0x20 || c == '"' || c == '\\';
}

static inline int32_t stops(const char *p) {
  int32_t n = 0;
  while (n < STEP && !is_stop(p[n])) n++;
  return n;
}

static inline int32_t line_stop(const char *p) {
  int32_t n = 0;
  while (n < STEP && p[n] != '\n') n++;
  return n;
}

static inline int step_here(const char *p, const struct tm_json_step *step) {
  return memcmp(p, step->text, step->len) == 0;
}

#endif

static inline int quick_read(const char *text, struct quick *q) {
  const char *p = text + (*text == '-'), *first = p, *dot;
  uint64_t m = 0;
  for (; (unsigned char)(*p - '0') < 10; p++) m = m * 10 + (uint64_t)(*p - '0');
  if (p == first || (*first == '0' && p - first > 1)) return 0;
  dot = p;
  q->point = 0;
  if (*p == '.') {
    for (p++; (unsigned char)(*p - '0') < 10; p++) m = m * 10 + (uint64_t)(*p - '0');
    q->point = (int32_t)(p - dot - 1);
    if (q->point == 0) return 0;
  }
  q->end = (int32_t)(p - text);
  q->minus = *text == '-';
  q->digits = (int32_t)(dot - first) + q->point;
  q->m = m;
  return 1;
}

static inline double quick_value(const char *text, const struct quick *q) {
  (void)text;
  double d = (double)(int64_t)q->m / tm_json_pow10[q->point];
  return q->minus ? -d : d;
}

static int32_t find_lines(const char *text, int32_t len, int32_t *at, int32_t max) {
  int32_t n = 0, i = 0;
  while (i < len && n < max) {
    int32_t k = line_stop(text + i);
    i += k;
    if (k == STEP) continue;
    if (i < len) at[n++] = i;
    i++;
  }
  return n;
}

#include "json_scan.h"
