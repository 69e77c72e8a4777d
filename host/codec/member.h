/* member.h - members of JSON objects written again and again: a key made once, and a field's bytes.
 *
 * Short pieces are copied 32 bytes at a time, whatever their length, which is cheaper than a copy of exactly the right one: TM_PAD
 * bytes may be read behind the source and written behind the target. */
#ifndef TM_CODEC_MEMBER_H
#define TM_CODEC_MEMBER_H

#include <stdlib.h>
#include <string.h>

#include "../abi_c.h"
#include "../base/buf.h"
#include "../base/owned.h"
#include "json_walk.h"

enum { TM_MEMBER_SHORT = 32 };

/* ,"key": */
struct tm_member {
  int32_t len;
  char text[TM_MEMBER_SHORT];     /* when it fits */
  char *text_long;                /* else here, of what was made for the scripts */
};

/* 0, -1 no memory, -2 the key is not UTF-8 */
static inline int32_t tm_member_init(struct tm_member *m, const char *key, int32_t key_len) {
  struct tm_buf text;
  tm_buf_init(&text, INT32_MAX - TM_PAD);
  int32_t rc = tm_buf_put(&text, ",", 1);
  if (rc == 0) rc = tm_ffi_json_string(&text, key, key_len);
  if (rc == 0) rc = tm_buf_put(&text, ":", 1);
  m->len = text.len;
  m->text_long = NULL;
  if (rc == 0 && text.len <= TM_MEMBER_SHORT) {
    memcpy(m->text, text.data, (size_t)text.len);
  } else if (rc == 0) {
    m->text_long = tm_owned_malloc((size_t)text.len);
    if (m->text_long == NULL) rc = -1;
    else memcpy(m->text_long, text.data, (size_t)text.len);
  }
  tm_buf_fini(&text);
  return rc;
}

/* p has room for the key: the place behind it. */
static inline char *tm_member_put(char *p, const struct tm_member *m) {
  if (__builtin_expect(m->len <= TM_MEMBER_SHORT, 1)) memcpy(p, m->text, TM_MEMBER_SHORT);
  else memcpy(p, m->text_long, (size_t)m->len);
  return p + m->len;
}

static inline char *tm_short_copy(char *to, const char *s, int32_t n) {
  memcpy(to, s, 32);
  if (__builtin_expect(n > 32, 0)) memcpy(to + 32, s + 32, (size_t)n - 32);
  return to + n;
}

/* A field as it came, appended: 0, -1 out of space, -2 JSON has no such value. */
static inline int32_t tm_member_cell(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c) {
  if (b->format != TM_FORMAT_JSON) return tm_ffi_cell_put(out, b, c);
  int32_t quote = tm_cell_quoted(c), len = tm_cell_len(c) + 2 * quote;
  if (tm_buf_reserve(out, len) != 0) return -1;
  out->len = (int32_t)(tm_short_copy(out->data + out->len, b->raw + c->off - quote, len) - out->data);
  return 0;
}

#endif
