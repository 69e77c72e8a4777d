/* marks.c - sets of numbers that share their values: each number once, with a bit for each of up to eight sets that it is in.
 *
 *   segment    | shape | n | cap | number | number | ... | marks | marks | ...     of 32 to 4,096 bytes, open addressing
 *   directory  | BIG + depth | 0 | segment's handle | ...                          2^depth of them, chosen by the hash's top bits
 *
 * tm_state_ref.at is a segment or, once that is too small, a directory; n counts the numbers. Extendible hashing (Fagin and others,
 * 1979), as in segments.h, but the numbers themselves are what the segments hold: one is found in two or three lines of memory, and none
 * ever goes, as nothing takes a value back. A call copies a segment or two at most, and at its rare doublings the directory, 4 bytes for
 * some 250 numbers. Every change is logged. */
#include "marks.h"

#include "../base/err.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LOG_FIRST = 5, LOG_LAST = 12, DEPTH_MAX = 26, MARKS_MAX = 8 };
#define BIG 0x80000000u
static const uint64_t EMPTY = ~(uint64_t)0;   /* a NaN, which no number is */

struct segment {
  uint32_t shape;           /* log2 of its bytes << 8 | depth: how many top bits all its hashes share */
  uint16_t n, cap;
};
struct directory {
  uint32_t depth;           /* BIG + bits */
  uint32_t pad;
};

static uint32_t depth_of(const struct segment *g) { return g->shape & 255; }
static uint32_t log_of(const struct segment *g) { return g->shape >> 8; }
static uint64_t *numbers_of(struct segment *g) { return (uint64_t *)(void *)(g + 1); }
static uint8_t *marks_of(struct segment *g) { return (uint8_t *)(numbers_of(g) + g->cap); }
static uint32_t *handles_of(struct directory *d) { return (uint32_t *)(void *)(d + 1); }
static void *at_of(const struct tm_table *t, uint32_t at) { return tm_heap_at(&t->core.heap, at); }
static int is_directory(const struct tm_table *t, uint32_t at) { return (*(const uint32_t *)at_of(t, at) & BIG) != 0; }

/* the top bits choose the segment, so its slots go by the lower half */
static uint32_t home_of(const struct segment *g, uint64_t hash) { return (uint32_t)(((hash & 0xffffffffu) * g->cap) >> 32); }
static uint32_t place_of(uint32_t depth, uint64_t hash) { return depth == 0 ? 0 : (uint32_t)(hash >> (64 - depth)); }
static uint64_t hash_of(const struct tm_table *t, uint64_t number) {
  return XXH3_64bits_withSeed(&number, sizeof number, t->log->seed);
}

static struct segment *segment_of(const struct tm_table *t, uint32_t at, uint64_t hash) {
  if (!is_directory(t, at)) return at_of(t, at);
  struct directory *d = at_of(t, at);
  return at_of(t, handles_of(d)[place_of(d->depth & ~BIG, hash)]);
}

/* where a number is, or the empty place where it would be */
static uint32_t slot_find(struct segment *g, uint64_t number, uint64_t hash) {
  const uint64_t *at = numbers_of(g);
  uint32_t p = home_of(g, hash);
  while (at[p] != number && at[p] != EMPTY) p = p + 1 == g->cap ? 0 : p + 1;
  return p;
}

/* a segment without numbers: its handle or 0 */
static uint32_t segment_new(struct tm_table *t, uint32_t log, uint32_t depth) {
  uint32_t at = tm_value_alloc(t, 1u << log);
  if (at == 0) return 0;
  struct segment *g = at_of(t, at);
  *g = (struct segment){log << 8 | depth, 0, (uint16_t)(((1u << log) - sizeof *g) / 9)};
  memset(numbers_of(g), 0xff, 8 * (size_t)g->cap);
  return at;
}

/* a fifth stays empty, and one place at the least */
static int is_full(const struct segment *g) { return g->n + 1u + g->cap / 5u >= g->cap; }

/* ---- growing ---- */

/* The numbers of g go to made[0], or those whose hash has the bit behind `depth` to made[1]. */
static void deal(struct tm_table *t, struct segment *g, const uint32_t *made, uint32_t depth) {
  const uint64_t *from = numbers_of(g);
  for (uint32_t i = 0; i < g->cap; i++) {
    if (from[i] == EMPTY) continue;
    uint64_t hash = hash_of(t, from[i]);
    struct segment *to = at_of(t, made[made[0] != made[1] && (hash >> (63 - depth) & 1)]);
    uint32_t p = slot_find(to, from[i], hash);
    numbers_of(to)[p] = from[i];
    marks_of(to)[p] = marks_of(g)[i];
    to->n++;
  }
}

/* a directory of twice as many places as that at `at`, of one if that is a segment: its handle or 0 */
static uint32_t directory_double(struct tm_table *t, uint32_t at) {
  const struct directory *old = is_directory(t, at) ? at_of(t, at) : NULL;
  uint32_t depth = old != NULL ? (old->depth & ~BIG) + 1 : 0;
  if (depth > DEPTH_MAX) return 0;
  uint32_t to = tm_value_alloc(t, (uint32_t)sizeof(struct directory) + (4u << depth));
  if (to == 0) return 0;
  struct directory *d = at_of(t, to);
  *d = (struct directory){BIG + depth, 0};
  if (old == NULL) {
    handles_of(d)[0] = at;
    return to;
  }
  const uint32_t *from = (const uint32_t *)(const void *)(old + 1);
  for (uint32_t i = 0; i < 1u << depth; i++) handles_of(d)[i] = from[i / 2];
  return tm_value_release(t, at) == 0 ? to : 0;
}

/* The segment of `hash` becomes a larger one, or two that share its numbers. */
static int segment_grow(struct tm_table *t, struct tm_state_ref *ref, uint64_t hash) {
  struct segment *g = segment_of(t, ref->at, hash);
  uint32_t made[2], old = ref->at, split = log_of(g) == LOG_LAST;
  while (split && (!is_directory(t, ref->at) || (((struct directory *)at_of(t, ref->at))->depth & ~BIG) == depth_of(g))) {
    uint32_t at = directory_double(t, ref->at);
    if (at == 0) return -1;
    ref->at = at;
  }
  made[0] = made[1] = segment_new(t, split ? LOG_LAST : log_of(g) + 1, depth_of(g) + split);
  if (made[0] != 0 && split) made[1] = segment_new(t, LOG_LAST, depth_of(g) + 1);
  if (made[0] == 0 || made[1] == 0) return -1;
  deal(t, g, made, depth_of(g));
  if (!is_directory(t, ref->at)) {
    ref->at = made[0];
    return tm_value_release(t, old);
  }
  struct directory *d = at_of(t, ref->at);
  uint32_t n = 1u << ((d->depth & ~BIG) - depth_of(g)), first = place_of(d->depth & ~BIG, hash) & ~(n - 1);
  uint32_t *places = handles_of(d) + first;
  old = places[0];
  if (tm_changes_keep(t->log, places, 4 * n) != 0) return -1;
  for (uint32_t i = 0; i < n; i++) places[i] = made[i >= n / 2];
  return tm_value_release(t, old);
}

/* ---- what Lua calls ---- */

int32_t tm_ffi_marks_count(const struct tm_marks *m, void *record, int32_t fresh) {
  double *counts = (double *)(void *)((char *)record + m->counts);
  for (int32_t i = 0; i < m->n && m->max > 0; i++) {
    if ((fresh >> i & 1) != 0 && counts[i] >= m->max) return TM_STATE_FULL;
  }
  tm_arena_mark(counts, (size_t)m->n * sizeof *counts);
  for (int32_t i = 0; i < m->n; i++) counts[i] += fresh >> i & 1;
  return TM_STATE_OK;
}

static int32_t number_add(struct tm_table *t, struct tm_state_ref *ref, uint64_t number, int32_t marks) {
  if (ref->at == 0 && (ref->at = segment_new(t, LOG_FIRST, 0)) == 0) return TM_STATE_NO_MEMORY;
  uint64_t hash = hash_of(t, number);
  struct segment *g = segment_of(t, ref->at, hash);
  while (is_full(g)) {
    if (segment_grow(t, ref, hash) != 0) return TM_STATE_NO_MEMORY;
    g = segment_of(t, ref->at, hash);
  }
  uint32_t p = slot_find(g, number, hash);
  uint64_t *place = numbers_of(g) + p;
  if (tm_changes_keep(t->log, g, sizeof *g) != 0 || tm_changes_keep(t->log, place, sizeof *place) != 0) return TM_STATE_NO_MEMORY;
  *place = number;
  /* without its number it means nothing, so it is not kept */
  tm_arena_mark(marks_of(g) + p, 1);
  marks_of(g)[p] = (uint8_t)marks;
  g->n++;
  ref->n++;
  return TM_STATE_OK;
}

int32_t tm_ffi_marks_add(struct tm_state *s, void *record, const struct tm_marks *m, double v, int32_t marks) {
  struct tm_table *t = tm_table_of(s);
  struct tm_state_ref *ref = tm_field_ref(t, record, m->field);
  uint64_t number;
  TM_ASSERT(t->fields[m->field].kind == TM_FIELD_MARKS && m->n <= MARKS_MAX);
  v += 0.0;  /* -0 becomes 0 */
  memcpy(&number, &v, sizeof number);
  uint8_t *had = NULL;
  if (ref->at != 0) {
    uint64_t hash = hash_of(t, number);
    struct segment *g = segment_of(t, ref->at, hash);
    uint32_t p = slot_find(g, number, hash);
    if (numbers_of(g)[p] == number) had = marks_of(g) + p;
  }
  int32_t fresh = had != NULL ? marks & ~*had : marks, mark;
  if (fresh == 0) return 0;
  int32_t code = tm_field_begin(t, record, m->field, &mark);
  if (code == 0 && had == NULL) code = number_add(t, ref, number, marks);
  else if (code == 0 && tm_changes_keep(t->log, had, 1) != 0) code = TM_STATE_NO_MEMORY;
  if (code == 0 && had != NULL) *had = (uint8_t)(*had | fresh);
  if (code == 0) code = tm_ffi_marks_count(m, record, fresh);
  return tm_field_end(t, mark, code == 0 ? fresh : code);
}

/* A place is that in the directory * 512 + the slot in its segment + 1; of a segment that has several places the first counts. */
double tm_ffi_marks_next(struct tm_state *s, const void *record, int32_t field, double at, double *out) {
  const struct tm_table *t = tm_table_of(s);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field);
  if (ref->at == 0) return 0;
  struct directory *d = is_directory(t, ref->at) ? at_of(t, ref->at) : NULL;
  uint32_t depth = d != NULL ? d->depth & ~BIG : 0;
  uint64_t place = (uint64_t)at >> 9, slot = (uint64_t)at & 511;
  while (place < (uint64_t)1 << depth) {
    struct segment *g = at_of(t, d != NULL ? handles_of(d)[place] : ref->at);
    for (; slot < g->cap; slot++) {
      if (numbers_of(g)[slot] == EMPTY) continue;
      memcpy(out, numbers_of(g) + slot, sizeof *out);
      out[1] = marks_of(g)[slot];
      return (double)(place << 9 | slot) + 1;
    }
    place += (uint64_t)1 << (depth - depth_of(g));
    slot = 0;
  }
  return 0;
}

/* ---- visits ---- */

int tm_visit_marks(struct tm_visit *v, struct tm_state_ref *ref) {
  v->steps--;
  if (ref->at == 0) return 1;
  if (!is_directory(v->t, ref->at)) {
    tm_visit_part(v, &ref->at);
    return 1;
  }
  if (!v->freeing) tm_visit_part(v, &ref->at);
  struct directory *d = at_of(v->t, ref->at);
  uint32_t depth = d->depth & ~BIG, n, i;
  /* the directory may have been doubled since the last slice: at the worst a place is visited twice */
  for (i = v->pos; i < 1u << depth; i += n) {
    if (v->steps <= 0) {
      v->pos = i;
      return 0;
    }
    uint32_t at = handles_of(d)[i];
    n = 1u << (depth - depth_of(at_of(v->t, at)));
    i &= ~(n - 1);
    tm_visit_part(v, &at);
    if (!v->freeing && handles_of(d)[i] != at) {
      tm_arena_mark(handles_of(d) + i, n * sizeof at);
      for (uint32_t k = i; k < i + n; k++) handles_of(d)[k] = at;
    }
    v->steps--;
  }
  v->pos = 0;
  if (v->freeing) tm_visit_part(v, &ref->at);
  return 1;
}
