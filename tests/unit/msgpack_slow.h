/* msgpack_slow.h - a msgpack reader written the slow and obvious way, from the specification's table: the judge of the
 * fast one in unit tests and fuzzers. Recursive, a byte at a time, shares nothing with host/codec. */
#ifndef TM_TESTS_MSGPACK_SLOW_H
#define TM_TESTS_MSGPACK_SLOW_H

#include <stdint.h>
#include <string.h>

enum slow_status { SLOW_OK, SLOW_SHORT, SLOW_C1, SLOW_KEY, SLOW_UTF8, SLOW_DEEP };

struct slow {
  const unsigned char *p, *end;
  enum slow_status status;      /* the first thing wrong, in order of bytes; structure is followed on */
  int broken;                   /* the structure itself is */
};

static inline void slow_note(struct slow *s, enum slow_status status) {
  if (s->status == SLOW_OK) s->status = status;
  if (status == SLOW_SHORT || status == SLOW_C1) s->broken = 1;
}

static inline uint64_t slow_take(struct slow *s, int n) {
  uint64_t v = 0;
  for (int i = 0; i < n; i++) {
    if (s->p >= s->end) {
      slow_note(s, SLOW_SHORT);
      return 0;
    }
    v = v << 8 | *s->p++;
  }
  return v;
}

static inline int slow_utf8(const unsigned char *p, uint64_t n) {
  for (uint64_t i = 0; i < n;) {
    uint32_t c = p[i], need = c < 0x80 ? 1 : c >= 0xc0 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf8 ? 4 : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (need == 0 || n - i < need) return 0;
    if (need > 1) c &= 0xffu >> (need + 1);
    for (uint32_t k = 1; k < need; k++) {
      if (p[i + k] >> 6 != 2) return 0;
      c = c << 6 | (p[i + k] & 63);
    }
    if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    i += need;
  }
  return 1;
}

static inline void slow_bytes(struct slow *s, uint64_t n, int is_text) {
  if ((uint64_t)(s->end - s->p) < n) {
    s->p = s->end;
    slow_note(s, SLOW_SHORT);
    return;
  }
  if (is_text && !slow_utf8(s->p, n)) slow_note(s, SLOW_UTF8);
  s->p += n;
}

static inline int slow_is_text(unsigned c) { return (c >= 0xa0 && c < 0xc0) || (c >= 0xd9 && c <= 0xdb); }

/* one value; depth: of containers around it */
static inline void slow_value(struct slow *s, int depth, int is_key) {
  uint64_t n = 0;
  int map = 0;
  unsigned c = (unsigned)slow_take(s, 1);
  if (s->broken) return;
  if (is_key && !slow_is_text(c)) slow_note(s, c == 0xc1 ? SLOW_C1 : SLOW_KEY);
  if (c == 0xc1) slow_note(s, SLOW_C1);
  if (s->broken) return;
  if (c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3) return;
  if (c >= 0xca && c <= 0xd3) {
    static const int sizes[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    slow_take(s, sizes[c - 0xca]);
    return;
  }
  if (c >= 0xa0 && c < 0xc0) { slow_bytes(s, c & 31, 1); return; }
  if (c >= 0xd9 && c <= 0xdb) { n = slow_take(s, 1 << (c - 0xd9)); if (!s->broken) slow_bytes(s, n, 1); return; }
  if (c >= 0xc4 && c <= 0xc6) { n = slow_take(s, 1 << (c - 0xc4)); if (!s->broken) slow_bytes(s, n, 0); return; }
  if (c >= 0xc7 && c <= 0xc9) { n = slow_take(s, 1 << (c - 0xc7)); slow_take(s, 1); if (!s->broken) slow_bytes(s, n, 0); return; }
  if (c >= 0xd4 && c <= 0xd8) { slow_take(s, 1); if (!s->broken) slow_bytes(s, UINT64_C(1) << (c - 0xd4), 0); return; }
  if (c < 0xa0) n = c & 15, map = c < 0x90;
  else n = slow_take(s, c & 1 ? 4 : 2), map = c >= 0xde;
  if (depth >= 512) slow_note(s, SLOW_DEEP);
  for (uint64_t i = 0; i < n * (map ? 2 : 1) && !s->broken; i++) slow_value(s, depth + 1, map && i % 2 == 0);
}

#endif
