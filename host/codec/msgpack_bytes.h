/* msgpack_bytes.h - the bytes of msgpack values: what a lead byte says, and moving over values.
 *
 *   00-7f int   80-8f map   90-9f array   a0-bf str   c0 nil   c1 never used   c2 false   c3 true   c4-c6 bin
 *   c7-c9 ext   ca cb float   cc-cf uint   d0-d3 int   d4-d8 fixext   d9-db str   dc dd array   de df map   e0-ff int
 *
 * Inline, because the reader and the writers spend their time here. Nothing here reads beyond the bytes it is told are
 * there, but for fixed loads into the TM_PAD bytes behind every text. */
#ifndef TM_CODEC_MSGPACK_BYTES_H
#define TM_CODEC_MSGPACK_BYTES_H

#include <stdint.h>
#include <string.h>

/* What a value is, by its lead byte. */
enum tm_msgpack_type {
  TM_MSGPACK_INT, TM_MSGPACK_FLOAT, TM_MSGPACK_NIL, TM_MSGPACK_FALSE, TM_MSGPACK_TRUE, TM_MSGPACK_STR, TM_MSGPACK_BIN,
  TM_MSGPACK_EXT, TM_MSGPACK_ARRAY, TM_MSGPACK_MAP, TM_MSGPACK_NEVER
};

/* The first bytes of a value. */
struct tm_msgpack_head {
  enum tm_msgpack_type type;
  int32_t len;                  /* of the head: the lead byte, the length or the number, an ext's type */
  uint32_t count;               /* bytes behind the head (STR, BIN, EXT), items (ARRAY), pairs (MAP); else 0 */
};

/* By lead byte: the type, the head's length, and for the short forms the count (that of others follows in the head). */
struct tm_msgpack_lead {
  uint8_t type;
  uint8_t len;
  uint8_t count;
  uint8_t size;                 /* of the whole value, if the lead byte tells and it is no container; else 0 */
};
extern const struct tm_msgpack_lead tm_msgpack_leads[256];

static inline uint32_t tm_msgpack_get16(const char *p) {
  uint16_t v;
  memcpy(&v, p, 2);
  return __builtin_bswap16(v);
}
static inline uint32_t tm_msgpack_get32(const char *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
static inline uint64_t tm_msgpack_get64(const char *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return __builtin_bswap64(v);
}

/* The head at p, of which `left` bytes are there: 1, or 0 if it does not end within them. */
static inline int tm_msgpack_head_read(const char *p, int64_t left, struct tm_msgpack_head *h) {
  if (left < 1) return 0;
  const struct tm_msgpack_lead *lead = &tm_msgpack_leads[(unsigned char)*p];
  h->type = (enum tm_msgpack_type)lead->type;
  h->len = lead->len;
  h->count = lead->count;
  if (left < lead->len) return 0;
  switch ((unsigned char)*p) {
    case 0xc4: case 0xc7: case 0xd9: h->count = (unsigned char)p[1]; break;
    case 0xc5: case 0xc8: case 0xda: case 0xdc: case 0xde: h->count = tm_msgpack_get16(p + 1); break;
    case 0xc6: case 0xc9: case 0xdb: case 0xdd: case 0xdf: h->count = tm_msgpack_get32(p + 1); break;
    default: break;
  }
  return 1;
}

/* Does the head's count number bytes behind it? */
static inline int tm_msgpack_has_bytes(const struct tm_msgpack_head *h) {
  return h->type >= TM_MSGPACK_STR && h->type <= TM_MSGPACK_EXT;
}

/* The low 8 bits as a signed number. */
static inline int64_t tm_msgpack_signed8(unsigned char c) { return c < 0x80 ? (int64_t)c : (int64_t)c - 0x100; }

/* An integer's value: *negative tells how to read the 64 bits. */
static inline uint64_t tm_msgpack_int_read(const char *p, int *negative) {
  unsigned char lead = (unsigned char)*p;
  int64_t v;
  *negative = 0;
  switch (lead) {
    case 0xcc: return (unsigned char)p[1];
    case 0xcd: return tm_msgpack_get16(p + 1);
    case 0xce: return tm_msgpack_get32(p + 1);
    case 0xcf: return tm_msgpack_get64(p + 1);
    case 0xd0: v = tm_msgpack_signed8((unsigned char)p[1]); break;
    case 0xd1: v = (int16_t)tm_msgpack_get16(p + 1); break;
    case 0xd2: v = (int32_t)tm_msgpack_get32(p + 1); break;
    case 0xd3: v = (int64_t)tm_msgpack_get64(p + 1); break;
    default: v = tm_msgpack_signed8(lead);
  }
  *negative = v < 0;
  return (uint64_t)v;
}

static inline double tm_msgpack_float_read(const char *p) {
  if ((unsigned char)*p == 0xca) {
    uint32_t bits = tm_msgpack_get32(p + 1);
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
  }
  uint64_t bits = tm_msgpack_get64(p + 1);
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

/* Moving over values without looking into them: how much is still to come. It can be taken up where the bytes ended. */
struct tm_msgpack_walk {
  uint64_t values;              /* values to come; 0: all passed */
  uint64_t bytes;               /* of the payload at hand, before the next value */
};

enum tm_msgpack_walked { TM_MSGPACK_DONE, TM_MSGPACK_MORE, TM_MSGPACK_BROKEN };

/* Moves *p on to the end of the last value (DONE), as far as `end` allows (MORE), or to the byte 0xc1 (BROKEN). */
enum tm_msgpack_walked tm_msgpack_walk(struct tm_msgpack_walk *w, const char **p, const char *end);
/* Bytes that are missing at least. */
static inline uint64_t tm_msgpack_walk_least(const struct tm_msgpack_walk *w) { return w->values + w->bytes; }

/* A point in time, the n bytes of an extension of type TM_EXT_TIMESTAMP: 1, or 0 if they are none. */
int tm_msgpack_time_read(const char *s, int64_t n, int64_t *seconds, uint32_t *ns);

/* Behind a valid value at p. */
const char *tm_msgpack_pass(const char *p);

/* 1 if s[0..n) is UTF-8 (RFC 3629). */
int tm_msgpack_utf8(const char *s, uint32_t n);
/* How many of the bytes are, from the first on: n, or where a character that is none begins. */
uint32_t tm_msgpack_utf8_good(const char *s, uint32_t n);

/* What is not right inside a value whose structure is. */
enum tm_msgpack_fault { TM_MSGPACK_FINE, TM_MSGPACK_SHORT, TM_MSGPACK_C1, TM_MSGPACK_KEY, TM_MSGPACK_UTF8, TM_MSGPACK_DEEP };

/* Checks the value at p, all of it: *p behind it (FINE), or where the fault is. depth: of containers open around it. */
enum tm_msgpack_fault tm_msgpack_check(const char **p, const char *end, int32_t depth);

#endif
