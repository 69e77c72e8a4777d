/* index.c - insertion, removal and the sweeps.
 *
 * Behind the last home there is a tail of TAIL slots for entries pushed on, so no position ever wraps. It is open but
 * not counted: more than a page of it is touched only if thousands of hashes crowd at the upper end. */
#include "index.h"

#include <string.h>

#include "../base/err.h"
#include "arena.h"

enum { CAP_MIN = 64, TAIL = 4096, STEPS_PER_INSERT = 24, DROP_SLICE = 64 * 1024, EQUAL_MAX = 64 };
enum { LARGE_FROM = 512 * 1024, ASK_AGAIN = 1024 };  /* slots (4 MiB), entries */
static const uint64_t END = (uint64_t)1 << 32;

static size_t bytes_of(uint32_t cap) { return tm_page_up((size_t)cap * sizeof(struct tm_index_slot)); }
static uint32_t home_in(uint64_t hash, uint32_t cap) { return (uint32_t)((hash * cap) >> 32); }
/* the smallest hash whose home is at or behind slot, in an array of cap */
static uint64_t hash_from(uint32_t slot, uint32_t cap) {
  return slot >= cap ? END : (slot * END + cap - 1) / cap;
}

/* slots [0, cap) are counted and those behind them open: 0 or -1 */
static int cap_open(struct tm_index *x, uint32_t cap) {
  size_t had = bytes_of(x->counted), need = bytes_of(cap);
  if (tm_region_open(&x->mem, (size_t)(cap + TAIL) * sizeof(struct tm_index_slot)) != 0) return -1;
  if (need > had && tm_account_take(x->account, need - had) != 0) return -1;
  if (cap > x->counted) x->counted = cap;
  return 0;
}

int tm_index_init(struct tm_index *x, struct tm_account *a, size_t max_slots) {
  memset(x, 0, sizeof *x);
  x->account = a;
  x->low = x->high = x->least = CAP_MIN;
  x->ask_at = UINT32_MAX;
  if (tm_region_init(&x->mem, a, tm_page_up((max_slots + TAIL) * sizeof(struct tm_index_slot))) != 0) return -1;
  x->slots = (struct tm_index_slot *)(void *)x->mem.base;
  if (cap_open(x, CAP_MIN) == 0) return 0;
  tm_region_fini(&x->mem);
  return -1;
}

void tm_index_fini(struct tm_index *x) {
  if (x->mem.base == NULL) return;
  tm_account_give(x->account, bytes_of(x->counted));
  tm_region_fini(&x->mem);
}

/* slots [from, to) are about to change */
static void slots_mark(const struct tm_index *x, uint32_t from, uint32_t to) {
  tm_arena_mark(x->slots + from, (size_t)(to - from) * sizeof *x->slots);
}

void tm_index_insert(struct tm_index *x, uint32_t hash, uint32_t at) {
  struct tm_index_slot *s = x->slots;
  uint32_t p = tm_index_home(x, hash), e;
  while (s[p].at != 0 && s[p].hash <= hash) p++;
  for (e = p; s[e].at != 0;) e++;
  TM_ASSERT((size_t)(e + 2) * sizeof *s <= x->mem.open);
  slots_mark(x, p, e + 1);
  if (e > p) memmove(s + p + 1, s + p, (size_t)(e - p) * sizeof *s);
  s[p] = (struct tm_index_slot){hash, at};
  x->n++;
}

uint32_t tm_index_where(const struct tm_index *x, uint32_t hash, uint32_t at) {
  uint32_t p = tm_index_home(x, hash);
  while (x->slots[p].at != at) {
    TM_ASSERT(x->slots[p].at != 0 && x->slots[p].hash <= hash);
    p++;
  }
  return p;
}

void tm_index_remove(struct tm_index *x, uint32_t slot) {
  struct tm_index_slot *s = x->slots;
  uint32_t q = slot + 1;
  while (s[q].at != 0 && tm_index_home(x, s[q].hash) < q) q++;
  slots_mark(x, slot, q);
  if (q > slot + 1) memmove(s + slot, s + slot + 1, (size_t)(q - slot - 1) * sizeof *s);
  s[q - 1] = (struct tm_index_slot){0, 0};
  x->n--;
}

/* ---- growing ---- */

/* The last entry below the bound, with all that share its hash, goes over to the layout behind it. The slow way, for
 * where both layouts touch. */
static void grow_one(struct tm_index *x, uint32_t q) {
  uint32_t hash = x->slots[q].hash, at[EQUAL_MAX], n = 0;
  for (;; q--) {
    TM_ASSERT(n < EQUAL_MAX);
    at[n++] = x->slots[q].at;
    tm_index_remove(x, q);
    if (q == 0 || x->slots[q - 1].at == 0 || x->slots[q - 1].hash != hash) break;
  }
  x->bound = hash;
  while (n > 0) tm_index_insert(x, hash, at[--n]);
}

/* The run [s, q], all of it below the bound, is laid out for `high`; end is where its last entry will lie. It is moved to
 * its end first; from there each entry's place is at or before where it was. */
static void run_spread(struct tm_index *x, uint32_t s, uint32_t q, uint32_t end) {
  struct tm_index_slot *slots = x->slots;
  uint32_t n = q - s + 1, from = end + 1 - n, to = 0;
  slots_mark(x, s, end + 1);
  memmove(slots + from, slots + s, (size_t)n * sizeof *slots);
  uint32_t clear = from < q + 1 ? from : q + 1;
  memset(slots + s, 0, (size_t)(clear - s) * sizeof *slots);
  for (uint32_t i = from; i <= end; i++) {
    struct tm_index_slot e = slots[i];
    uint32_t home = home_in(e.hash, x->high);
    if (home > to) to = home;
    if (to != i) {
      slots[i] = (struct tm_index_slot){0, 0};
      slots[to] = e;
    }
    to++;
  }
}

/* one run below the bound, the last; returns the slots looked at */
static int32_t grow_run(struct tm_index *x, int32_t looks) {
  struct tm_index_slot *slots = x->slots;
  uint32_t top = home_in(x->bound - 1, x->low), q = top, s, w = 0;
  int32_t looked = 1;
  while (slots[q].at != 0 && slots[q + 1].at != 0 && slots[q + 1].hash < x->bound) q++;
  while (slots[q].at == 0 || slots[q].hash >= x->bound) {
    if (q == 0) {
      x->bound = 0;
      return looked;
    }
    q--;
    if (++looked > looks) {
      /* nothing lies behind q but what is at home before it */
      if (q < top) x->bound = hash_from(q + 1, x->low);
      return looked;
    }
  }
  for (s = q; s > 0 && slots[s - 1].at != 0; s--) looked++;
  for (uint32_t i = s; i <= q; i++) {
    uint32_t home = home_in(slots[i].hash, x->high);
    w = (home > w ? home : w) + 1;
  }
  uint64_t limit = x->bound == END ? x->high + TAIL - 2 : home_in(x->bound, x->high);
  if (slots[q + 1].at != 0 || w > limit) {
    grow_one(x, q);
    return looked + 1;
  }
  run_spread(x, s, q, w - 1);
  x->bound = hash_from(s, x->low);
  return looked;
}

/* ---- shrinking ---- */

/* the first run at or behind the bound is laid out for `low`; returns the slots looked at */
static int32_t shrink_run(struct tm_index *x, int32_t looks) {
  struct tm_index_slot *slots = x->slots;
  uint32_t r = x->bound == END ? x->high : home_in(x->bound, x->high), w = 0, end = x->high + TAIL - 1;
  int32_t looked = 1;
  while (r < end && (slots[r].at == 0 || slots[r].hash < x->bound)) {
    r++;
    /* behind an entry that was pushed on there may be one whose home is before r */
    if (++looked <= looks || slots[r - 1].at != 0) continue;
    x->bound = hash_from(r, x->high);
    return looked;
  }
  if (r >= end) {
    x->bound = END;
    return looked;
  }
  for (; slots[r].at != 0; r++, looked++) {
    struct tm_index_slot e = slots[r];
    uint32_t home = home_in(e.hash, x->low);
    if (home > w) w = home;
    while (w < r && slots[w].at != 0) w++;
    if (w < r) {
      slots_mark(x, w, w + 1);
      slots_mark(x, r, r + 1);
      slots[w] = e;
      slots[r] = (struct tm_index_slot){0, 0};
    }
    w++;
  }
  x->bound = hash_from(r, x->high);
  return looked;
}

/* with which number of slots an index of cap goes on */
static uint64_t grown(uint64_t cap) {
  return cap + (cap < 1024 ? cap : cap < 65536 ? cap / 8 : cap * 3 / 16);
}

static void ask_when(struct tm_index *x) { x->ask_at = x->low < LARGE_FROM ? UINT32_MAX : x->low / 16 * 13; }

/* A growth lays entries out from its end, so all of its memory is touched at once. */
static void expect(struct tm_index *x) {
  size_t used = bytes_of(x->low + TAIL), upto = bytes_of((uint32_t)grown(x->low) + TAIL);
  tm_region_expect(&x->mem, x->account, used, upto);
  x->ask_at = x->mem.asked >= upto ? UINT32_MAX : x->n + ASK_AGAIN;
}

static int sweep_over(struct tm_index *x) {
  if (x->sweep > 0 && x->bound == 0) x->low = x->high;
  else if (x->sweep < 0 && x->bound == END) x->high = x->low;
  else return 0;
  x->sweep = 0;
  ask_when(x);
  return 1;
}

static void sweep_steps(struct tm_index *x, int32_t steps) {
  while (x->sweep != 0 && steps > 0) {
    steps -= x->sweep > 0 ? grow_run(x, steps) : shrink_run(x, steps);
    if (sweep_over(x)) break;
  }
}

/* ---- when ---- */

static int grow_start(struct tm_index *x) {
  uint64_t cap = grown(x->low);
  if (cap + TAIL > x->mem.reserved / sizeof(struct tm_index_slot)) return -1;
  if (cap_open(x, (uint32_t)cap) != 0) return -1;
  x->high = (uint32_t)cap;
  x->ask_at = UINT32_MAX;
  x->bound = END;
  x->sweep = 1;
  return 0;
}

int tm_index_room(struct tm_index *x) {
  if (x->sweep != 0) sweep_steps(x, STEPS_PER_INSERT);
  uint64_t cap = x->low < x->high ? x->low : x->high;
  if (x->n >= x->ask_at) expect(x);
  if (x->n + 1 <= cap * 7 / 8) return 0;
  /* a growing sweep has its room before it is over; one that shrinks is in the way */
  if (x->sweep > 0 && x->n + 1 <= (uint64_t)x->high * 15 / 16) return 0;
  while (x->sweep != 0) sweep_steps(x, 1 << 16);
  return x->n + 1 <= (uint64_t)x->low * 7 / 8 ? 0 : grow_start(x);
}

void tm_index_reset(struct tm_index *x) {
  uint32_t cap = x->low > x->high ? x->low : x->high, want = x->n < CAP_MIN / 2 ? CAP_MIN : x->n * 3 / 2;
  slots_mark(x, 0, cap + TAIL);
  memset(x->slots, 0, (size_t)(cap + TAIL) * sizeof *x->slots);
  x->low = x->high = x->least = want < cap ? want : cap;
  x->n = 0;
  x->sweep = 0;
  ask_when(x);
}

int tm_index_care(struct tm_index *x, int32_t steps) {
  if (x->sweep != 0) {
    sweep_steps(x, steps);
    return 1;
  }
  size_t have = bytes_of(x->counted), want = bytes_of(x->low);
  if (have > want) {
    size_t to = have - want > DROP_SLICE ? have - DROP_SLICE : want;
    size_t tail = bytes_of(x->low + TAIL), from = to > tail ? to : tail;
    /* with the tail that lay there */
    if (from < have) tm_region_drop(&x->mem, from, bytes_of(x->counted + TAIL));
    tm_account_give(x->account, have - to);
    x->counted = (uint32_t)(to / sizeof(struct tm_index_slot));
    if (x->counted < x->low) x->counted = x->low;
    return 1;
  }
  if (x->low <= x->least || x->n >= x->low / 5 * 2) return 0;
  if (!tm_region_forget(&x->mem, bytes_of(x->counted + TAIL))) return 1;
  uint64_t cap = (uint64_t)x->n * 3 / 2 + 1;
  x->low = cap < x->least ? x->least : (uint32_t)cap;
  x->bound = 0;
  x->ask_at = UINT32_MAX;
  x->sweep = -1;
  return 1;
}
