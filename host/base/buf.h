/* buf.h - struct tm_buf of abi.h: growing bytes with TM_PAD spare ones behind cap. */
#ifndef TM_BASE_BUF_H
#define TM_BASE_BUF_H

#include <stdint.h>
#include <string.h>

#include "../abi_c.h"

/* A heap buffer; grows by doubling up to cap_max. */
void tm_buf_init(struct tm_buf *b, int32_t cap_max);
/* One whose bytes are given back with the scripts that are loaded (owned.h). */
void tm_buf_init_owned(struct tm_buf *b, int32_t cap_max);
void tm_buf_fini(struct tm_buf *b);
/* A buffer over memory that never moves; cap bytes plus TM_PAD are there. */
void tm_buf_init_fixed(struct tm_buf *b, char *data, int32_t cap);
/* Room for `more` bytes behind len: 0, or -1 (cap_max, or no memory). */
int tm_buf_grow(struct tm_buf *b, int32_t more);

static inline int tm_buf_reserve(struct tm_buf *b, int32_t more) {
  return b->cap - b->len >= more ? 0 : tm_buf_grow(b, more);
}
static inline int tm_buf_put(struct tm_buf *b, const char *s, int32_t n) {
  if (tm_buf_reserve(b, n) != 0) return -1;
  if (n == 0) return 0;  /* a buffer that Lua made has no data yet */
  memcpy(b->data + b->len, s, (size_t)n);
  b->len += n;
  return 0;
}

#endif
