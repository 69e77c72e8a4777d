/* hll.c - how many different values: HyperLogLog in a text (Flajolet et al. 2007; the sparse form of Heule et al. 2013;
 * the estimator of Ertl 2017, "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6, which needs no
 * tables of bias).
 *
 *   sparse | count, uint32 | 0 | slots, uint32 each: place of 25 bits << 6 | rank, 0 is free; open addressing     |
 *   dense  | 0, uint32     | 1 | uint32[64]: how many registers hold each rank | one byte a register: its rank     |
 *
 * A value is known by 64 bits of a hash of its type and bytes. Sparse it is counted as if there were 2^25 registers, until
 * slots would need as much as 2^precision registers. What is held depends on the set of values alone, not on their order, nor
 * on how they were spread over what was merged. */
#include <math.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "edit.h"

enum { PLACE_BITS = 25, RANK_BITS = 6, SLOTS_FIRST = 16, RANKS = 64 };

struct head { uint32_t count, dense; };
struct dense {
  struct head head;
  uint32_t ranks[RANKS];
  uint8_t registers[];
};
struct sparse {
  struct head head;
  uint32_t slot[];
};

static uint32_t slots_of(uint32_t len) { return (len - (uint32_t)sizeof(struct head)) / 4; }

/* The slot with that place, or the free one where it belongs. */
static uint32_t *slot_of(struct sparse *h, uint32_t slots, uint32_t place) {
  uint32_t i = place * 2654435769u;
  for (i = (uint32_t)((uint64_t)i * slots >> 32); h->slot[i] != 0 && h->slot[i] >> RANK_BITS != place;) i = i + 1 < slots ? i + 1 : 0;
  return &h->slot[i];
}

static int register_raise(struct tm_edit *e, uint32_t place, uint32_t rank) {
  struct dense *d = (struct dense *)(void *)e->p;
  uint8_t *at = &d->registers[place];
  if (*at >= rank) return 0;
  if (tm_edit_keep(e, at, 1) != 0 || tm_edit_keep(e, &d->ranks[*at], 4) != 0 || tm_edit_keep(e, &d->ranks[rank], 4) != 0) return -1;
  d->ranks[*at]--;
  d->ranks[rank]++;
  *at = (uint8_t)rank;
  return 0;
}

/* An entry of the sparse form as place and rank of 2^precision registers. */
static uint32_t narrowed(uint32_t entry, int32_t precision, uint32_t *rank) {
  int more = PLACE_BITS - precision;
  uint32_t place = entry >> RANK_BITS, below = place & ((1u << more) - 1);
  *rank = below != 0 ? (uint32_t)(__builtin_clz(below) - (32 - more) + 1) : (uint32_t)more + (entry & (RANKS - 1));
  return place >> more;
}

static int make_dense(struct tm_edit *e, int32_t precision) {
  const struct sparse *old = (const struct sparse *)(const void *)e->p;
  uint32_t slots = e->len > 0 ? slots_of(e->len) : 0, registers = 1u << precision;
  if (tm_edit_resize(e, (uint32_t)sizeof(struct dense) + registers, 0) != 0) return -1;
  struct dense *d = (struct dense *)(void *)e->p;
  d->head.dense = 1;
  d->ranks[0] = registers;
  for (uint32_t i = 0; i < slots; i++) {
    uint32_t rank, place;
    if (old->slot[i] == 0) continue;
    place = narrowed(old->slot[i], precision, &rank);
    if (d->registers[place] >= rank) continue;
    d->ranks[d->registers[place]]--;
    d->ranks[rank]++;
    d->registers[place] = (uint8_t)rank;
  }
  return 0;
}

/* Room for one more, a quarter of the slots being free; 1: there would be too many, it is dense now. */
static int sparse_room(struct tm_edit *e, int32_t precision) {
  const struct sparse *old = (const struct sparse *)(const void *)e->p;
  uint32_t slots = e->len > 0 ? slots_of(e->len) : 0, count = slots > 0 ? old->head.count : 0;
  uint32_t more = slots > 0 ? slots * 2 : SLOTS_FIRST;
  if ((count + 1) * 4 <= slots * 3) return 0;
  if (more * 4 > 1u << precision) return make_dense(e, precision) != 0 ? -1 : 1;
  if (tm_edit_resize(e, (uint32_t)sizeof(struct head) + 4 * more, 0) != 0) return -1;
  struct sparse *h = (struct sparse *)(void *)e->p;
  h->head.count = count;
  for (uint32_t i = 0; i < slots; i++) {
    if (old->slot[i] != 0) *slot_of(h, more, old->slot[i] >> RANK_BITS) = old->slot[i];
  }
  return 0;
}

static int entry_add(struct tm_edit *e, int32_t precision, uint32_t entry) {
  struct sparse *h = (struct sparse *)(void *)e->p;
  if (e->len == 0 || h->head.dense == 0) {
    uint32_t *slot = e->len > 0 ? slot_of(h, slots_of(e->len), entry >> RANK_BITS) : NULL;
    if (slot != NULL && *slot != 0) {
      if (*slot >= entry) return 0;
      if (tm_edit_keep(e, slot, 4) != 0) return -1;
      *slot = entry;
      return 0;
    }
    int full = sparse_room(e, precision);
    if (full < 0) return -1;
    if (full == 0) {
      h = (struct sparse *)(void *)e->p;
      slot = slot_of(h, slots_of(e->len), entry >> RANK_BITS);
      if (tm_edit_keep(e, slot, 4) != 0 || tm_edit_keep(e, &h->head, sizeof h->head) != 0) return -1;
      *slot = entry;
      h->head.count++;
      return 0;
    }
  }
  uint32_t rank, place = narrowed(entry, precision, &rank);
  return register_raise(e, place, rank);
}

int32_t tm_ffi_hll_add(struct tm_state *s, void *record, int32_t field, int32_t precision, int32_t type, const char *bytes, int32_t len) {
  struct tm_edit e;
  uint64_t hash = XXH3_64bits_withSeed(bytes, (size_t)len, (uint64_t)type);
  uint32_t rank = (uint32_t)__builtin_clzll(hash << PLACE_BITS | (uint64_t)1 << (PLACE_BITS - 1)) + 1;
  uint32_t entry = (uint32_t)(hash >> (64 - PLACE_BITS)) << RANK_BITS | rank;
  if (tm_edit_begin(&e, s, record, field) == 0) entry_add(&e, precision, entry);
  return tm_edit_end(&e);
}

int32_t tm_ffi_hll_merge(struct tm_state *s, void *record, int32_t field, int32_t precision, struct tm_state *s2, const void *record2) {
  struct tm_edit e;
  uint32_t len;
  const char *text = tm_edit_text(s2, record2, field, &len);
  const struct dense *d = (const struct dense *)(const void *)text;
  const struct sparse *h = (const struct sparse *)(const void *)text;
  if (len == 0) return TM_STATE_OK;
  int failed = tm_edit_begin(&e, s, record, field);
  if (!failed && d->head.dense) {
    if (e.len == 0 || ((struct head *)(void *)e.p)->dense == 0) failed = make_dense(&e, precision);
    for (uint32_t i = 0; !failed && i < 1u << precision; i++) failed = register_raise(&e, i, d->registers[i]);
  } else if (!failed) {
    for (uint32_t i = 0; !failed && i < slots_of(len); i++) failed = h->slot[i] != 0 && entry_add(&e, precision, h->slot[i]) != 0;
  }
  return tm_edit_end(&e);
}

/* Ertl's sigma and tau */
static double sigma(double x) {
  double y = 1, z = x, before;
  if (x == 1) return INFINITY;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (z != before);
  return z;
}

static double tau(double x) {
  double y = 1, z = 1 - x, before;
  if (x == 0 || x == 1) return 0;
  do {
    x = sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (z != before);
  return z / 3;
}

double tm_ffi_hll_count(struct tm_state *s, const void *record, int32_t field, int32_t precision) {
  uint32_t len;
  const char *text = tm_edit_text(s, record, field, &len);
  const struct dense *d = (const struct dense *)(const void *)text;
  if (len == 0) return 0;
  if (d->head.dense == 0) {
    double places = (double)(1 << PLACE_BITS), free_places = places - d->head.count;
    return floor(places * log(places / free_places) + 0.5);
  }
  int last = 64 - precision;
  double m = (double)(1 << precision), z = m * tau(1 - d->ranks[last + 1] / m);
  for (int k = last; k >= 1; k--) z = 0.5 * (z + d->ranks[k]);
  z += m * sigma(d->ranks[0] / m);
  return floor(m / z * m / (2 * M_LN2) + 0.5);
}
