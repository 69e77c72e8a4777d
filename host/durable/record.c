/* record.c - checked records and small maps of msgpack, written in one fixed form; record.h draws it. */
#include "record.h"

#include <string.h>

#include "../base/crc32c.h"
#include "../base/err.h"
#include "../codec/msgpack_bytes.h"

enum { BEFORE_CRC = 13, AFTER_CRC = 17 };

static unsigned char *put32(unsigned char *p, uint32_t v) {
  v = __builtin_bswap32(v);
  memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

static unsigned char *put64(unsigned char *p, uint64_t v) {
  v = __builtin_bswap64(v);
  memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

static uint32_t record_crc(const unsigned char *head, const void *body, uint32_t length) {
  uint32_t crc = tm_crc32c(0, head, BEFORE_CRC);

  crc = tm_crc32c(crc, head + AFTER_CRC, TM_RECORD_HEAD - AFTER_CRC);
  return tm_crc32c(crc, body, length);
}

uint32_t tm_record_write(unsigned char *out, char type, uint64_t offset, const void *body, uint32_t length) {
  uint32_t crc;

  TM_ASSERT(length <= TM_RECORD_BODY_MAX);
  out[0] = 0x94;
  out[1] = 0xa1;
  out[2] = (unsigned char)type;
  out[3] = 0xcf;
  put64(out + 4, offset);
  out[12] = 0xce;
  out[17] = 0xc6;
  put32(out + 18, length);
  memset(out + 13, 0, 4);
  crc = record_crc(out, body, length);
  put32(out + 13, crc);
  return crc;
}

int tm_record_read(const unsigned char *in, struct tm_record *r) {
  if (in[0] != 0x94 || in[1] != 0xa1 || in[3] != 0xcf || in[12] != 0xce || in[17] != 0xc6) return 0;
  r->type = (char)in[2];
  r->offset = tm_msgpack_get64((const char *)in + 4);
  r->crc = tm_msgpack_get32((const char *)in + 13);
  r->length = tm_msgpack_get32((const char *)in + 18);
  return r->length <= TM_RECORD_BODY_MAX;
}

int tm_record_fits(const unsigned char *head, const struct tm_record *r, const void *body) {
  return record_crc(head, body, r->length) == r->crc;
}

/* ---- maps ---------------------------------------------------------------------------------- */

static unsigned char *put_text(unsigned char *p, const char *text) {
  size_t n = strlen(text);

  TM_ASSERT(n <= 64);
  *p++ = 0xd9;
  *p++ = (unsigned char)n;
  memcpy(p, text, n);
  return p + n;
}

unsigned char *tm_map_begin(unsigned char *p, int pairs) {
  TM_ASSERT(pairs < 16);
  *p++ = (unsigned char)(0x80 | pairs);
  return p;
}

unsigned char *tm_map_text(unsigned char *p, const char *key, const char *text) {
  return put_text(put_text(p, key), text);
}

unsigned char *tm_map_item(unsigned char *p, uint64_t v) {
  *p++ = 0xcf;
  return put64(p, v);
}

unsigned char *tm_map_number(unsigned char *p, const char *key, uint64_t v) {
  return tm_map_item(put_text(p, key), v);
}

unsigned char *tm_map_bytes(unsigned char *p, const char *key, const void *bytes, uint32_t n) {
  p = put_text(p, key);
  *p++ = 0xc6;
  p = put32(p, n);
  if (n > 0) memcpy(p, bytes, n);
  return p + n;
}

unsigned char *tm_map_item_array(unsigned char *p, int n) {
  TM_ASSERT(n < 16);
  *p++ = (unsigned char)(0x90 | n);
  return p;
}

unsigned char *tm_map_array(unsigned char *p, const char *key, int n) {
  return tm_map_item_array(put_text(p, key), n);
}

/* Behind one value, or NULL: it is broken or does not end within the bytes. */
static const char *pass(const char *p, const char *end) {
  struct tm_msgpack_walk w = { .values = 1 };

  return tm_msgpack_walk(&w, &p, end) == TM_MSGPACK_DONE ? p : NULL;
}

const unsigned char *tm_map_find(const unsigned char *bytes, int64_t n, const char *key) {
  const char *p = (const char *)bytes, *end = p + n, *value;
  struct tm_msgpack_head h;
  uint32_t pairs;

  if (!tm_msgpack_head_read(p, n, &h) || h.type != TM_MSGPACK_MAP) return NULL;
  p += h.len;
  for (pairs = h.count; pairs > 0; pairs--) {
    if (!tm_msgpack_head_read(p, end - p, &h) || h.type != TM_MSGPACK_STR || end - p - h.len < (int64_t)h.count) return NULL;
    value = p + h.len + h.count;
    if (h.count == strlen(key) && memcmp(p + h.len, key, h.count) == 0) {
      return value < end && pass(value, end) != NULL ? (const unsigned char *)value : NULL;
    }
    p = value < end ? pass(value, end) : NULL;
    if (p == NULL) return NULL;
  }
  return NULL;
}

int tm_map_get_number(const unsigned char *bytes, int64_t n, const char *key, uint64_t *v) {
  const char *p = (const char *)tm_map_find(bytes, n, key);
  struct tm_msgpack_head h;
  int negative;

  if (p == NULL) return 0;
  TM_ASSERT(tm_msgpack_head_read(p, (const char *)bytes + n - p, &h));  /* all of the value was passed over */
  if (h.type != TM_MSGPACK_INT) return 0;
  *v = tm_msgpack_int_read(p, &negative);
  return !negative;
}

int tm_map_get_bytes(const unsigned char *bytes, int64_t n, const char *key, const unsigned char **p, uint32_t *length) {
  const char *q = (const char *)tm_map_find(bytes, n, key);
  struct tm_msgpack_head h;

  if (q == NULL) return 0;
  TM_ASSERT(tm_msgpack_head_read(q, (const char *)bytes + n - q, &h));
  if (h.type != TM_MSGPACK_BIN && h.type != TM_MSGPACK_STR) return 0;
  *p = (const unsigned char *)q + h.len;
  *length = h.count;
  return 1;
}

int tm_map_has_text(const unsigned char *bytes, int64_t n, const char *key, const char *text) {
  const unsigned char *p;
  uint32_t length;

  return tm_map_get_bytes(bytes, n, key, &p, &length) && length == strlen(text) && memcmp(p, text, length) == 0;
}
