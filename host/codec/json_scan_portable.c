/* json_scan_portable.c - the JSON decoder in plain C, for every processor.
 *
 * Eight bytes at a step by arithmetic on words, byte by byte where the byte order does not allow it. It answers as the
 * other scanners do, to the bit: tests compare them on valid, mutated and random texts. */
#include "json.h"
#include "json_scanner.h"
#include "number_quick_portable.h"

#include <string.h>

#define SCANNER tm_json_scanner_portable
#define SCANNER_NAME "portable"

enum { STEP = 8 };

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
