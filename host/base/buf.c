/* buf.c - growth of struct tm_buf.
 *
 *   data                len                 cap       cap + TM_PAD
 *   | written           | free              | pad     |
 *
 * The pad is always there, also behind an empty buffer, so that scanners may read whole blocks past `len`
 * without a test. An empty heap buffer points at a static pad and owns nothing (cap 0). */
#include "buf.h"

#include <stdlib.h>

#include "owned.h"

enum { CAP_FIRST = 256 };

/* Shared by all empty buffers: readable, and whatever is written into a pad means nothing. */
static char pad_only[TM_PAD];

void tm_buf_init(struct tm_buf *b, int32_t cap_max) {
  b->data = pad_only;
  b->len = 0;
  b->cap = 0;
  /* cap + TM_PAD must stay an int32 */
  b->cap_max = cap_max > INT32_MAX - TM_PAD ? INT32_MAX - TM_PAD : cap_max;
  b->fixed = TM_BUF_HEAP;
}

void tm_buf_init_owned(struct tm_buf *b, int32_t cap_max) {
  tm_buf_init(b, cap_max);
  b->fixed = TM_BUF_OWNED;
}

void tm_buf_fini(struct tm_buf *b) {
  if (b->fixed == TM_BUF_HEAP && b->cap > 0) free(b->data);
  if (b->fixed == TM_BUF_OWNED && b->cap > 0) tm_owned_free(b->data);
  b->data = pad_only;
  b->len = 0;
  b->cap = 0;
  b->cap_max = 0;
}

void tm_buf_init_fixed(struct tm_buf *b, char *data, int32_t cap) {
  b->data = data;
  b->len = 0;
  b->cap = cap;
  b->cap_max = cap;
  b->fixed = TM_BUF_FIXED;
}

int tm_buf_grow(struct tm_buf *b, int32_t more) {
  int64_t need = (int64_t)b->len + more;
  int64_t cap = (int64_t)b->cap * 2;
  char *data;

  if (more < 0 || b->fixed == TM_BUF_FIXED || need > b->cap_max) return -1;
  if (need <= b->cap) return 0;
  if (cap < CAP_FIRST) cap = CAP_FIRST;
  if (cap < need) cap = need;
  if (cap > b->cap_max) cap = b->cap_max;
  data = (b->fixed == TM_BUF_OWNED ? tm_owned_realloc : realloc)(b->cap > 0 ? b->data : NULL, (size_t)cap + TM_PAD);
  if (data == NULL) return -1;
  b->data = data;
  b->cap = (int32_t)cap;
  return 0;
}
