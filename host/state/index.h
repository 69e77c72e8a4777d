/* index.h - from a hash of 32 bits to the handles that have it.
 *
 * Open addressing with slots of 8 bytes, kept in order of the hash: an entry's home is hash * cap / 2^32, it lies there
 * or behind, and between its home and itself no slot is empty (Amble and Knuth, "Ordered hash tables", 1974). A search
 * that fails ends as soon as one that succeeds, so seven slots of eight may be in use.
 *
 * Because homes keep the order of hashes, the array grows and shrinks in its place. A sweep goes over the entries from
 * the end and lays them out for the larger size, some with each insertion; `bound` tells both layouts apart:
 *
 *   | hash < bound: laid out for low | free | hash >= bound: laid out for high |
 *
 * Shrinking is the same from the start, with the smaller size low. Nothing is ever copied into a second array, memory
 * grows by an eighth or by 3/16, and no call moves more than a few runs. Slots hold the whole hash: items are not
 * touched. */
#ifndef TM_STATE_INDEX_H
#define TM_STATE_INDEX_H

#include "region.h"

struct tm_index_slot {
  uint32_t hash;                  /* never 0 if the slot is in use */
  uint32_t at;                    /* 0: empty */
};

struct tm_index {
  struct tm_region mem;
  struct tm_account *account;
  struct tm_index_slot *slots;
  uint64_t bound;                 /* 0 .. 2^32 */
  uint32_t low, high;             /* sizes in force below bound and from it on; equal: no sweep */
  uint32_t n;
  int32_t sweep;                  /* 0 none, 1 growing, -1 shrinking */
  uint32_t counted;               /* slots whose memory is counted */
  uint32_t least;                 /* it does not shrink below so many slots */
  uint32_t ask_at;                /* with so many entries the memory for the next growth is asked for */
};

/* Room for up to max_slots: 0 or -1. */
int tm_index_init(struct tm_index *x, struct tm_account *a, size_t max_slots);
void tm_index_fini(struct tm_index *x);
/* There is room for one more entry afterwards: 0, or -1 when there is no memory. Does its share of a sweep. */
int tm_index_room(struct tm_index *x);
/* Never fails behind tm_index_room, nor when as many entries were there before. */
void tm_index_insert(struct tm_index *x, uint32_t hash, uint32_t at);
/* the slot of an entry that is there */
uint32_t tm_index_where(const struct tm_index *x, uint32_t hash, uint32_t at);
void tm_index_remove(struct tm_index *x, uint32_t slot);
/* Empties it. It stays as large as its entries needed and is not made smaller than that before the next reset. For an index of
 * bounded size: all of it is written. */
void tm_index_reset(struct tm_index *x);
/* About `steps` entries of a sweep, or of shrinking when that is due; 1 if there is more to do. */
int tm_index_care(struct tm_index *x, int32_t steps);

static inline uint32_t tm_index_home(const struct tm_index *x, uint32_t hash) {
  return (uint32_t)(((uint64_t)hash * (hash < x->bound ? x->low : x->high)) >> 32);
}

/* Asks for the slots among which a hash is looked for. Inlined, as gcc takes a function that only fetches for one that does nothing,
 * and leaves its calls out. */
static inline __attribute__((always_inline)) void tm_index_ask(const struct tm_index *x, uint32_t hash) {
  const struct tm_index_slot *home = x->slots + tm_index_home(x, hash);
  __builtin_prefetch(home, 1);
  __builtin_prefetch(home + 4, 1);
}

/* The first slot of those that have the hash, or of those behind. How many slots come before is random, so four are
 * looked at without a branch; an empty one (0) counts as behind all. */
static inline const struct tm_index_slot *tm_index_seek(const struct tm_index *x, uint32_t hash) {
  const struct tm_index_slot *s = x->slots + tm_index_home(x, hash);
  for (;; s += 4) {
    uint32_t h = hash - 1, n = (s[0].hash - 1 < h) + (s[1].hash - 1 < h) + (s[2].hash - 1 < h) + (s[3].hash - 1 < h);
    if (n < 4) return s + n;
  }
}

#endif
