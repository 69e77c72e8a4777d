/* fetch.h - asking memory for what a lookup by hash will need, some calls before: first the slot of the index (tm_index_ask), then the
 * item that it names. Both only guess: what is asked for may be gone or moved by then. */
#ifndef TM_STATE_FETCH_H
#define TM_STATE_FETCH_H

#include "table.h"

enum { TM_LINE = 64, TM_FETCH_LINES = 4, TM_KEY_GUESS = 16 };

/* The handle of the first item that has the hash, or 0. key: how many bytes its key has, or is thought to have. Always inlined: gcc
 * takes a function that only fetches for one that does nothing, and leaves its calls out. */
static inline __attribute__((always_inline)) uint32_t tm_item_fetch(const struct tm_table *t, uint32_t hash, uint32_t key) {
  const struct tm_index_slot *i = tm_index_seek(&t->core.index, hash);
  if (i->hash != hash) return 0;
  const char *p = tm_heap_at(&t->core.heap, i->at), *end = tm_item_at(t, i->at)->key + key;
  for (int n = 0; n < TM_FETCH_LINES && p < end; n++, p += TM_LINE) __builtin_prefetch(p, 1);
  __builtin_prefetch(end - 1);
  return i->at;
}

#endif
