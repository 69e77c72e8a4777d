/* keep.h - the pieces of memory in which a run lies that must be kept for a later process.
 *
 * Whoever owns such memory names its pieces, in the same order each time; who keeps them copies them while the call lasts.
 * They are put back at the same addresses, so pointers into them hold. */
#ifndef TM_BASE_KEEP_H
#define TM_BASE_KEEP_H

#include <stddef.h>

struct tm_keeper {
  /* copies n bytes; n may be 0 */
  void (*piece)(struct tm_keeper *k, const void *at, size_t n);
};

static inline void tm_keep(struct tm_keeper *k, const void *at, size_t n) {
  k->piece(k, at, n);
}

#endif
