/* deque.h - elements of one size in a row, added and taken at both ends, reached by number: under lists and maps.
 *
 * Few elements lie in one block, a ring that doubles up to 1 KiB, or up to 64 elements of 32 bytes and more (4 KiB at most), so that those with
 * a day of history need no chunk of which they use little. More lie in chunks of 4 KiB that a directory names, itself a ring: no call
 * copies more than a ring of elements, or the directory (4 bytes for 4 KiB).
 *
 *   root, few:   | head | cap         | element | element | ...
 *   root, many:  | head | BIG + chunks| chunk | chunk | 0 | ...          head counts elements from the first chunk's start
 *
 * The root's handle and the number of elements are the caller's; a deque without elements has no root (0). Elements
 * have 1 byte, or 8 to 512 in powers of two. Every change is logged; a call that fails leaves entries for the caller to undo. */
#ifndef TM_STATE_DEQUE_H
#define TM_STATE_DEQUE_H

#include "value.h"

enum { TM_CHUNK_BYTES = 4096, TM_RING_BYTES = 1024, TM_RING_ENTRIES = 64, TM_ENTRY_BYTES = 32 };
#define TM_DEQUE_BIG 0x80000000u

struct tm_deque {
  uint32_t head;
  uint32_t cap;           /* elements, a power of two; or TM_DEQUE_BIG + chunks in the directory, a power of two */
};

/* what the cells of an element hold (enum tm_value_kind, or -1), each of the first n; tagged: all are such (series.h) */
struct tm_deque_cells { int32_t of[2]; uint32_t n; int32_t tagged; };

/* element i of those there are */
static inline void *tm_deque_at(const struct tm_table *t, uint32_t root, uint32_t i, uint32_t size) {
  struct tm_deque *d = tm_heap_at(&t->core.heap, root);
  if ((d->cap & TM_DEQUE_BIG) == 0) return (char *)(d + 1) + ((d->head + i) & (d->cap - 1)) * size;
  /* all are powers of two */
  uint32_t shift = 12u - (uint32_t)__builtin_ctz(size), n = (d->cap & ~TM_DEQUE_BIG) << shift, a = (d->head + i) & (n - 1);
  const uint32_t *dir = (const uint32_t *)(d + 1);
  return (char *)tm_heap_at(&t->core.heap, dir[a >> shift]) + (a & ((1u << shift) - 1)) * size;
}
/* how many elements up to and with number i lie in one piece of memory that ends with it */
static inline uint32_t tm_deque_run(const struct tm_table *t, uint32_t root, uint32_t i, uint32_t size) {
  const struct tm_deque *d = tm_heap_at(&t->core.heap, root);
  uint32_t whole = (d->cap & TM_DEQUE_BIG) == 0 ? d->cap : TM_CHUNK_BYTES / size;
  uint32_t n = ((d->head + i) & (whole - 1)) + 1;
  return n < i + 1 ? n : i + 1;
}
/* are its elements in chunks? */
static inline int tm_deque_is_big(const struct tm_table *t, uint32_t root) {
  return (((const struct tm_deque *)tm_heap_at(&t->core.heap, root))->cap & TM_DEQUE_BIG) != 0;
}
/* The root of an empty one with room for cap elements, a power of two, or 0. Calls below log where `root` lies, so that must be
 * in the state, never on the stack: a roll-back writes there. */
uint32_t tm_deque_new(struct tm_table *t, uint32_t cap, uint32_t size);
/* One more behind len elements: where it lies, its bytes kept and anything; NULL: no memory. */
void *tm_deque_push(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size);
/* The last or the first n of len elements go: 0 or -1. For n > 1 costs as much as their chunks are. */
int tm_deque_pop(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size);
int tm_deque_shift(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size, uint32_t n);
/* see value.h */
int tm_deque_visit(struct tm_visit *v, uint32_t *root, uint32_t len, uint32_t size, const struct tm_deque_cells *cells);

#endif
