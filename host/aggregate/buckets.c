/* buckets.c - quantiles: DDSketch (Masson, Rim, Lee 2019) in a text.
 *
 *   text | total, uint64 | buckets, uint32 | 0 | buckets in order of key: key, int32; count, two uint32, low one first | room |
 *
 * A bucket holds the numbers in (g^(i-1), g^i], g = (1 + error) / (1 - error), and what it gives for them is off by a
 * share of at most `error`. Its key is i moved up above 0, negated for negative numbers; 0's is 0: so the order of keys is
 * that of values. No bucket is ever joined with another, so the error holds for every quantile: a double's whole range has at most
 * 1,454 / log(g) buckets of either sign. Counts are added and taken away, so nothing depends on the order. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "edit.h"

enum { MOVED = 1 << 28, FIRST = 16 };

struct bucket {
  int32_t key;
  uint32_t low, high;
};
struct sketch {
  uint64_t total;
  uint32_t n, zero;
  struct bucket b[];
};

static uint32_t room_of(uint32_t len) { return (len - (uint32_t)sizeof(struct sketch)) / (uint32_t)sizeof(struct bucket); }
static uint64_t count_of(const struct bucket *b) { return (uint64_t)b->high << 32 | b->low; }

/* where that key is, or would be */
static uint32_t place_of(const struct sketch *k, int32_t key) {
  uint32_t lo = 0, hi = k->n;
  while (lo < hi) {
    uint32_t middle = (lo + hi) / 2;
    if (k->b[middle].key < key) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}

static int insert(struct tm_edit *e, uint32_t at, int32_t key) {
  struct sketch *k = (struct sketch *)(void *)e->p;
  uint32_t n = e->len > 0 ? k->n : 0;
  if (e->len == 0 || n == room_of(e->len)) {
    uint32_t more = e->len > 0 ? n + n / 2 : FIRST;
    if (tm_edit_resize(e, (uint32_t)(sizeof *k + more * sizeof *k->b), e->len) != 0) return -1;
    k = (struct sketch *)(void *)e->p;
  }
  struct bucket *b = &k->b[at];
  uint32_t behind = (n - at) * (uint32_t)sizeof *b;
  if (tm_edit_keep(e, k, sizeof *k) != 0 || tm_edit_keep(e, b, behind) != 0) return -1;
  tm_arena_mark(b, behind + sizeof *b);
  memmove(b + 1, b, behind);
  *b = (struct bucket){key, 0, 0};
  k->n = n + 1;
  return 0;
}

static void remove_at(struct tm_edit *e, uint32_t at) {
  struct sketch *k = (struct sketch *)(void *)e->p;
  uint32_t behind = (k->n - at - 1) * (uint32_t)sizeof *k->b;
  if (k->n == 1) {
    tm_edit_resize(e, 0, 0);
  } else if (tm_edit_keep(e, &k->b[at], behind + (uint32_t)sizeof *k->b) == 0) {
    memmove(&k->b[at], &k->b[at + 1], behind);
    k->n--;
  }
}

/* count more of a key, or less */
static void change(struct tm_edit *e, int32_t key, uint64_t count, int less) {
  struct sketch *k = (struct sketch *)(void *)e->p;
  uint32_t at = e->len > 0 ? place_of(k, key) : 0;
  if (e->len == 0 || at == k->n || k->b[at].key != key) {
    if (less) {
      e->code = TM_STATE_RANGE;
      return;
    }
    if (insert(e, at, key) != 0) return;
    k = (struct sketch *)(void *)e->p;
  }
  if (tm_edit_keep(e, k, sizeof *k) != 0 || tm_edit_keep(e, &k->b[at], sizeof *k->b) != 0) return;
  uint64_t now = less ? count_of(&k->b[at]) - count : count_of(&k->b[at]) + count;
  k->b[at].low = (uint32_t)now;
  k->b[at].high = (uint32_t)(now >> 32);
  k->total = less ? k->total - count : k->total + count;
  if (now == 0) remove_at(e, at);
}

int32_t tm_ffi_buckets_add(struct tm_state *s, void *record, int32_t field, double log_g, double v, double sign) {
  struct tm_edit e;
  int32_t key = 0;
  if (v != 0) {
    key = (int32_t)ceil(log(fabs(v)) / log_g) + MOVED;
    if (v < 0) key = -key;
  }
  if (tm_edit_begin(&e, s, record, field) == 0) change(&e, key, 1, sign < 0);
  return tm_edit_end(&e);
}

int32_t tm_ffi_buckets_merge(struct tm_state *s, void *record, int32_t field, struct tm_state *s2, const void *record2) {
  struct tm_edit e;
  uint32_t len;
  const struct sketch *k = (const struct sketch *)(const void *)tm_edit_text(s2, record2, field, &len);
  if (len == 0) return TM_STATE_OK;
  if (tm_edit_begin(&e, s, record, field) == 0) {
    for (uint32_t i = 0; i < k->n && e.code == 0; i++) change(&e, k->b[i].key, count_of(&k->b[i]), 0);
  }
  return tm_edit_end(&e);
}

double tm_ffi_buckets_quantile(struct tm_state *s, const void *record, int32_t field, double log_g, double share) {
  uint32_t len;
  const struct sketch *k = (const struct sketch *)(const void *)tm_edit_text(s, record, field, &len);
  if (len == 0) return (double)NAN;
  uint64_t rank = (uint64_t)(share * (double)(k->total - 1)), seen = count_of(&k->b[0]);
  uint32_t i = 0;
  while (seen <= rank && i + 1 < k->n) seen += count_of(&k->b[++i]);
  int32_t key = k->b[i].key;
  if (key == 0) return 0;
  double v = exp((abs(key) - MOVED) * log_g + log(2 / (1 + exp(log_g))));
  if (v > DBL_MAX) v = DBL_MAX;
  return key < 0 ? -v : v;
}
