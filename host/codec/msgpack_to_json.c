/* msgpack_to_json.c - values of msgpack as JSON text, with notes or for others (msgpack_json.h).
 *
 * One walk over bytes that were checked, on a stack of counts. A note is written only where the value, read back from its
 * text, would get another lead byte: so text from common packers has next to none. */
#include <stdio.h>

#include "../base/buf.h"
#include "json.h"
#include "json_walk.h"
#include "msgpack_bytes.h"
#include "msgpack_json.h"
#include "note.h"

enum { DIGITS = 24 };   /* of any integer, sign included */

static int32_t note_put(struct tm_buf *out, uint8_t lead) {
  if (tm_buf_reserve(out, TM_NOTE) != 0) return -1;
  tm_note_write(out->data + out->len, lead);
  out->len += TM_NOTE;
  tm_notes_written = 1;
  return 0;
}

/* The lead byte of the shortest form. */
static uint8_t int_lead(uint64_t v, int negative) {
  if (negative) {
    int64_t s = (int64_t)v;
    return s >= -32 ? (uint8_t)v : s >= INT8_MIN ? 0xd0 : s >= INT16_MIN ? 0xd1 : s >= INT32_MIN ? 0xd2 : 0xd3;
  }
  return v < 0x80 ? (uint8_t)v : v <= UINT8_MAX ? 0xcc : v <= UINT16_MAX ? 0xcd : v <= UINT32_MAX ? 0xce : 0xcf;
}

static int32_t int_put(struct tm_buf *out, const char *p, int noted) {
  int negative;
  uint64_t v = tm_msgpack_int_read(p, &negative);
  char digits[DIGITS], *q = digits + DIGITS;
  if (noted && int_lead(v, negative) != (uint8_t)*p && note_put(out, (uint8_t)*p) != 0) return -1;
  if (negative) v = 0 - v;
  do *--q = (char)('0' + v % 10);
  while ((v /= 10) != 0);
  if (negative) *--q = '-';
  return tm_buf_put(out, q, (int32_t)(digits + DIGITS - q));
}

static int32_t float_put(struct tm_buf *out, const char *p, int noted) {
  uint8_t lead = (uint8_t)*p;
  double v = tm_msgpack_float_read(p);
  int finite = __builtin_isfinite(v), whole = 1;
  if (!noted) return tm_ffi_json_number(out, v);
  int32_t at = out->len;
  if (note_put(out, lead) != 0) return -1;
  if (v != v) {
    char nan[40];
    uint64_t bits = lead == 0xca ? tm_msgpack_get32(p + 1) : tm_msgpack_get64(p + 1);
    return tm_buf_put(out, nan, snprintf(nan, sizeof nan, "1e998%020llu", (unsigned long long)bits));
  }
  if (!finite) return tm_buf_put(out, v < 0 ? "-1e999" : "1e999", v < 0 ? 6 : 5);
  if (tm_ffi_json_number(out, v) != 0) return -1;
  if (lead == 0xca) return 0;
  /* a text with a point or an exponent says float64 by itself */
  for (int32_t i = at + TM_NOTE; i < out->len; i++) whole &= out->data[i] != '.' && out->data[i] != 'e';
  if (whole) return 0;
  out->len -= TM_NOTE;
  memmove(out->data + at, out->data + at + TM_NOTE, (size_t)(out->len - at));
  return 0;
}

/* The lead byte of the shortest head of a str, array or map. */
static uint8_t head_lead(const struct tm_msgpack_head *h) {
  uint32_t n = h->count;
  if (h->type == TM_MSGPACK_STR) return n < 32 ? (uint8_t)(0xa0 | n) : n <= UINT8_MAX ? 0xd9 : n <= UINT16_MAX ? 0xda : 0xdb;
  if (h->type == TM_MSGPACK_ARRAY) return n < 16 ? (uint8_t)(0x90 | n) : n <= UINT16_MAX ? 0xdc : 0xdd;
  return n < 16 ? (uint8_t)(0x80 | n) : n <= UINT16_MAX ? 0xde : 0xdf;
}

static int32_t opaque_put(struct tm_buf *out, const char *p, const struct tm_msgpack_head *h, int noted) {
  int bin = h->type == TM_MSGPACK_BIN;
  int32_t type = bin ? 0 : (int8_t)p[h->len - 1];
  if (noted) return tm_note_opaque(out, (uint8_t)*p, type, p + h->len, h->count);
  return tm_note_opaque_plain(out, bin, type, p + h->len, h->count);
}

/* A value, of a container its opening bracket. */
static int32_t value_put(struct tm_buf *out, const char *p, const struct tm_msgpack_head *h, int noted) {
  int has_lead = h->type == TM_MSGPACK_STR || h->type >= TM_MSGPACK_ARRAY;
  if (noted && has_lead && head_lead(h) != (uint8_t)*p && note_put(out, (uint8_t)*p) != 0) return -1;
  switch (h->type) {
    case TM_MSGPACK_INT: return int_put(out, p, noted);
    case TM_MSGPACK_FLOAT: return float_put(out, p, noted);
    case TM_MSGPACK_NIL: return tm_buf_put(out, "null", 4);
    case TM_MSGPACK_FALSE: return tm_buf_put(out, "false", 5);
    case TM_MSGPACK_TRUE: return tm_buf_put(out, "true", 4);
    case TM_MSGPACK_STR: return tm_ffi_json_string(out, p + h->len, (int32_t)h->count);
    case TM_MSGPACK_ARRAY: return tm_buf_put(out, "[", 1);
    case TM_MSGPACK_MAP: return tm_buf_put(out, "{", 1);
    default: return opaque_put(out, p, h, noted);
  }
}

static int32_t walk(struct tm_buf *out, const char *p, int noted) {
  uint64_t left[TM_JSON_DEPTH_MAX + 2];   /* keys and values still to come in each open container */
  uint8_t map[TM_JSON_DEPTH_MAX + 2];
  struct tm_msgpack_head h;
  int32_t depth = 0;
  for (;;) {
    tm_msgpack_head_read(p, INT64_MAX, &h);
    int32_t rc = value_put(out, p, &h, noted);
    if (rc != 0) return rc;
    p += h.len + (tm_msgpack_has_bytes(&h) ? (int64_t)h.count : 0);
    if (h.type >= TM_MSGPACK_ARRAY) {
      depth++;
      map[depth] = h.type == TM_MSGPACK_MAP;
      left[depth] = (uint64_t)h.count << map[depth];
      if (h.count > 0) continue;
    } else if (depth > 0) {
      left[depth]--;
    }
    while (depth > 0 && left[depth] == 0) {
      if (tm_buf_put(out, map[depth] ? "}" : "]", 1) != 0) return -1;
      if (--depth > 0) left[depth]--;
    }
    if (depth == 0) return 0;
    if (tm_buf_put(out, map[depth] && left[depth] & 1 ? ":" : ",", 1) != 0) return -1;
  }
}

int32_t tm_msgpack_to_json(struct tm_buf *out, const char *p, int noted) {
  int32_t start = out->len, rc = walk(out, p, noted);
  if (rc != 0) out->len = start;
  return rc;
}
