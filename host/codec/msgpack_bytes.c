/* msgpack_bytes.c - moving over msgpack values, with and without looking at them (msgpack_bytes.h).
 *
 * Where a value ends needs no stack: each lead byte says how many values and bytes follow it, so a count of what is
 * still to come is enough, whatever the nesting. Checking what is inside (keys are texts, texts are UTF-8, at most
 * TM_JSON_DEPTH_MAX levels) takes a stack of counts. Nothing recurses; both cost time linear in the bytes. */
#include "msgpack_bytes.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "json.h"

#define LEAD(first, last, t, l, c, s) [(first) ... (last)] = {.type = TM_MSGPACK_##t, .len = (l), .count = (c), .size = (s)}
/* A short form: the low bits of the lead byte are the count. */
#define SHORT(base, n, t) [(base) + (n)] = {.type = TM_MSGPACK_##t, .len = 1, .count = (n)}
#define FOUR(base, n, t) SHORT(base, n, t), SHORT(base, (n) + 1, t), SHORT(base, (n) + 2, t), SHORT(base, (n) + 3, t)
#define SIXTEEN(base, t) FOUR(base, 0, t), FOUR(base, 4, t), FOUR(base, 8, t), FOUR(base, 12, t)
#define STR(n) [0xa0 + (n)] = {.type = TM_MSGPACK_STR, .len = 1, .count = (n), .size = (n) + 1}
#define EIGHT(n) STR(n), STR((n) + 1), STR((n) + 2), STR((n) + 3), STR((n) + 4), STR((n) + 5), STR((n) + 6), STR((n) + 7)

const struct tm_msgpack_lead tm_msgpack_leads[256] = {
    LEAD(0x00, 0x7f, INT, 1, 0, 1),    SIXTEEN(0x80, MAP),                SIXTEEN(0x90, ARRAY),
    EIGHT(0),                          EIGHT(8),                          EIGHT(16),
    EIGHT(24),                         LEAD(0xc0, 0xc0, NIL, 1, 0, 1),    LEAD(0xc1, 0xc1, NEVER, 1, 0, 0),
    LEAD(0xc2, 0xc2, FALSE, 1, 0, 1),  LEAD(0xc3, 0xc3, TRUE, 1, 0, 1),   LEAD(0xc4, 0xc4, BIN, 2, 0, 0),
    LEAD(0xc5, 0xc5, BIN, 3, 0, 0),    LEAD(0xc6, 0xc6, BIN, 5, 0, 0),    LEAD(0xc7, 0xc7, EXT, 3, 0, 0),
    LEAD(0xc8, 0xc8, EXT, 4, 0, 0),    LEAD(0xc9, 0xc9, EXT, 6, 0, 0),    LEAD(0xca, 0xca, FLOAT, 5, 0, 5),
    LEAD(0xcb, 0xcb, FLOAT, 9, 0, 9),  LEAD(0xcc, 0xcc, INT, 2, 0, 2),    LEAD(0xcd, 0xcd, INT, 3, 0, 3),
    LEAD(0xce, 0xce, INT, 5, 0, 5),    LEAD(0xcf, 0xcf, INT, 9, 0, 9),    LEAD(0xd0, 0xd0, INT, 2, 0, 2),
    LEAD(0xd1, 0xd1, INT, 3, 0, 3),    LEAD(0xd2, 0xd2, INT, 5, 0, 5),    LEAD(0xd3, 0xd3, INT, 9, 0, 9),
    LEAD(0xd4, 0xd4, EXT, 2, 1, 3),    LEAD(0xd5, 0xd5, EXT, 2, 2, 4),    LEAD(0xd6, 0xd6, EXT, 2, 4, 6),
    LEAD(0xd7, 0xd7, EXT, 2, 8, 10),   LEAD(0xd8, 0xd8, EXT, 2, 16, 18),  LEAD(0xd9, 0xd9, STR, 2, 0, 0),
    LEAD(0xda, 0xda, STR, 3, 0, 0),    LEAD(0xdb, 0xdb, STR, 5, 0, 0),    LEAD(0xdc, 0xdc, ARRAY, 3, 0, 0),
    LEAD(0xdd, 0xdd, ARRAY, 5, 0, 0),  LEAD(0xde, 0xde, MAP, 3, 0, 0),    LEAD(0xdf, 0xdf, MAP, 5, 0, 0),
    LEAD(0xe0, 0xff, INT, 1, 0, 1),
};

int tm_msgpack_time_read(const char *s, int64_t n, int64_t *seconds, uint32_t *ns) {
  uint64_t v;
  if (n == 4) {
    *seconds = tm_msgpack_get32(s);
    *ns = 0;
  } else if (n == 8) {
    v = tm_msgpack_get64(s);
    *seconds = (int64_t)(v & 0x3ffffffffu);
    *ns = (uint32_t)(v >> 34);
  } else if (n == 12) {
    *seconds = (int64_t)tm_msgpack_get64(s + 4);
    *ns = tm_msgpack_get32(s);
  } else {
    return 0;
  }
  return *ns < 1000000000;
}

/* ---- extent ---- */

enum tm_msgpack_walked tm_msgpack_walk(struct tm_msgpack_walk *w, const char **p, const char *end) {
  const char *q = *p;
  struct tm_msgpack_head h;
  for (;;) {
    if (w->bytes > (uint64_t)(end - q)) {
      w->bytes -= (uint64_t)(end - q);
      *p = end;
      return TM_MSGPACK_MORE;
    }
    q += w->bytes;
    w->bytes = 0;
    /* most values say in their first byte how long they are */
    int32_t size;
    while (w->values > 0 && q < end && (size = tm_msgpack_leads[(unsigned char)*q].size) != 0 && size <= end - q) {
      q += size;
      w->values--;
    }
    *p = q;
    if (w->values == 0) return TM_MSGPACK_DONE;
    if (!tm_msgpack_head_read(q, end - q, &h)) return TM_MSGPACK_MORE;
    if (h.type == TM_MSGPACK_NEVER) return TM_MSGPACK_BROKEN;
    w->values--;
    if (h.type == TM_MSGPACK_MAP) w->values += 2 * (uint64_t)h.count;
    else if (h.type == TM_MSGPACK_ARRAY) w->values += h.count;
    else w->bytes = h.count;
    q += h.len;
  }
}

const char *tm_msgpack_pass(const char *p) {
  struct tm_msgpack_head h;
  for (uint64_t values = 1; values > 0; values--) {
    tm_msgpack_head_read(p, INT64_MAX, &h);
    p += h.len;
    if (h.type == TM_MSGPACK_MAP) values += 2 * (uint64_t)h.count;
    else if (h.type == TM_MSGPACK_ARRAY) values += h.count;
    else p += h.count;
  }
  return p;
}

/* ---- content ---- */

/* Bytes of the character at u, of which n > 0 are there; 0: none, it is not UTF-8. */
static uint32_t character(const unsigned char *u, uint32_t n) {
  unsigned char low = 0x80, high = 0xbf;
  uint32_t need;
  if (u[0] < 0x80) return 1;
  if (u[0] >= 0xc2 && u[0] <= 0xdf) {
    need = 2;
  } else if (u[0] >= 0xe0 && u[0] <= 0xef) {
    need = 3;
    if (u[0] == 0xe0) low = 0xa0;
    if (u[0] == 0xed) high = 0x9f;
  } else if (u[0] >= 0xf0 && u[0] <= 0xf4) {
    need = 4;
    if (u[0] == 0xf0) low = 0x90;
    if (u[0] == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (n < need || u[1] < low || u[1] > high) return 0;
  for (uint32_t i = 2; i < need; i++)
    if ((u[i] & 0xc0) != 0x80) return 0;
  return need;
}

uint32_t tm_msgpack_utf8_good(const char *s, uint32_t n) {
  uint32_t i = 0;
  while (i < n) {
#ifdef __SSE2__
    while (n - i >= 16 && _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(s + i))) == 0) i += 16;
    if (i == n) break;
#endif
    uint32_t c = character((const unsigned char *)s + i, n - i);
    if (c == 0) break;
    i += c;
  }
  return i;
}

int tm_msgpack_utf8(const char *s, uint32_t n) { return tm_msgpack_utf8_good(s, n) == n; }

enum tm_msgpack_fault tm_msgpack_check(const char **p, const char *end, int32_t depth) {
  uint64_t left[TM_JSON_DEPTH_MAX + 1];   /* values still to come in each open container */
  uint8_t map[TM_JSON_DEPTH_MAX + 1];
  struct tm_msgpack_head h;
  int32_t top = depth;
  for (;;) {
    int key = depth > top && map[depth] && (left[depth] & 1) == 0;
    if (!tm_msgpack_head_read(*p, end - *p, &h)) return TM_MSGPACK_SHORT;
    if (h.type == TM_MSGPACK_NEVER) return TM_MSGPACK_C1;
    if (key && h.type != TM_MSGPACK_STR) return TM_MSGPACK_KEY;
    if (tm_msgpack_has_bytes(&h)) {
      if ((int64_t)h.count > end - *p - h.len) return TM_MSGPACK_SHORT;
      if (h.type == TM_MSGPACK_STR && !tm_msgpack_utf8(*p + h.len, h.count)) return TM_MSGPACK_UTF8;
      *p += h.count;
    }
    if (h.type >= TM_MSGPACK_ARRAY) {
      if (depth >= TM_JSON_DEPTH_MAX) return TM_MSGPACK_DEEP;
      depth++;
      map[depth] = h.type == TM_MSGPACK_MAP;
      left[depth] = (uint64_t)h.count << map[depth];
      *p += h.len;
    } else {
      *p += h.len;
      if (depth > top) left[depth]--;
    }
    while (depth > top && left[depth] == 0) {
      depth--;
      if (depth > top) left[depth]--;
    }
    if (depth == top) return TM_MSGPACK_FINE;
  }
}
