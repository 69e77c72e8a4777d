/* segments.c - inserting, doubling, splitting. */
#include "segments.h"

#include "../base/err.h"

enum { CAP_FIRST = 15, CAP_LAST = 511, DEPTH_MAX = 24 };

static uint32_t *dir_of(const struct tm_table *t, const struct tm_segments *x) { return tm_heap_at(&t->core.heap, x->dir); }

/* a segment without entries: its handle or 0 */
static uint32_t segment_new(struct tm_table *t, uint32_t cap, uint32_t depth) {
  uint32_t bytes = (uint32_t)(sizeof(struct tm_segment) + cap * sizeof(struct tm_segment_slot));
  uint32_t at = tm_value_alloc(t, bytes);
  if (at == 0) return 0;
  struct tm_segment *g = tm_heap_at(&t->core.heap, at);
  memset(g, 0, bytes);
  g->cap = (uint16_t)cap;
  g->depth = depth;
  return at;
}

static struct tm_segment_slot *empty_find(struct tm_segment *g, uint32_t hash) {
  struct tm_segment_slot *s = tm_segment_slots(g);
  uint32_t p = tm_segment_home(g, hash);
  while (s[p].hash != 0) p = p + 1 == g->cap ? 0 : p + 1;
  return s + p;
}

/* without the log: into a segment that is new */
static void slot_add(struct tm_segment *g, struct tm_segment_slot e) {
  *empty_find(g, e.hash) = e;
  g->n++;
}

/* all places in the directory that name the segment of `hash`: the first, and how many */
static uint32_t places(const struct tm_segments *x, uint32_t hash, uint32_t depth, uint32_t *n) {
  *n = 1u << (x->depth - depth);
  return x->depth == 0 ? 0 : (hash >> (32 - x->depth)) & ~(*n - 1);
}

static int dir_double(struct tm_table *t, struct tm_segments *x) {
  uint32_t n = 1u << x->depth;
  if (x->depth >= DEPTH_MAX) return -1;
  uint32_t at = tm_value_alloc(t, n * 8);
  if (at == 0 || tm_value_release(t, x->dir) != 0) return -1;
  uint32_t *to = tm_heap_at(&t->core.heap, at);
  const uint32_t *from = dir_of(t, x);
  for (uint32_t i = 0; i < n; i++) to[2 * i] = to[2 * i + 1] = from[i];
  x->dir = at;
  x->depth++;
  return 0;
}

/* The segment g of `hash` becomes a larger one, or two that share its entries. */
static int segment_grow(struct tm_table *t, struct tm_segments *x, const struct tm_segment *g, uint32_t hash) {
  uint32_t n, first, made[2], split = g->cap >= CAP_LAST, depth = g->depth + split;
  if (depth > x->depth && dir_double(t, x) != 0) return -1;
  first = places(x, hash, g->depth, &n);
  made[0] = segment_new(t, split ? CAP_LAST : g->cap * 2u + 1, depth);
  made[1] = split && made[0] != 0 ? segment_new(t, CAP_LAST, depth) : made[0];
  if (made[1] == 0) return -1;
  uint32_t *dir = dir_of(t, x) + first;
  if (tm_changes_keep(t->log, dir, n * 4) != 0 || tm_value_release(t, dir[0]) != 0) return -1;
  const struct tm_segment_slot *s = (const struct tm_segment_slot *)(const void *)(g + 1);
  for (uint32_t i = 0; i < g->cap; i++) {
    if (s[i].hash == 0) continue;
    uint32_t upper = split ? s[i].hash >> (32 - depth) & 1 : 0;
    slot_add(tm_heap_at(&t->core.heap, made[upper]), s[i]);
  }
  for (uint32_t i = 0; i < n; i++) dir[i] = made[i >= n / 2];
  return 0;
}

static int segments_begin(struct tm_table *t, struct tm_segments *x) {
  uint32_t dir = tm_value_alloc(t, 4), g = dir == 0 ? 0 : segment_new(t, CAP_FIRST, 0);
  if (g == 0) return -1;
  *(uint32_t *)tm_heap_at(&t->core.heap, dir) = g;
  x->dir = dir;
  x->depth = 0;
  return 0;
}

int tm_segments_insert(struct tm_table *t, struct tm_segments *x, uint32_t hash, uint32_t seq) {
  if (x->dir == 0 && segments_begin(t, x) != 0) return -1;
  struct tm_segment *g = tm_segment_of(t, x, hash);
  while ((g->n + 1) * 5 > g->cap * 4) {
    if (segment_grow(t, x, g, hash) != 0) return -1;
    g = tm_segment_of(t, x, hash);
  }
  struct tm_segment_slot *s = empty_find(g, hash);
  if (tm_changes_keep(t->log, g, sizeof *g) != 0 || tm_changes_keep(t->log, s, sizeof *s) != 0) return -1;
  *s = (struct tm_segment_slot){hash, seq};
  g->n++;
  return 0;
}

static uint32_t slot_find(struct tm_segment *g, uint32_t hash, uint32_t seq) {
  struct tm_segment_slot *s = tm_segment_slots(g);
  uint32_t p = tm_segment_home(g, hash);
  while (s[p].hash != hash || s[p].seq != seq) {
    TM_ASSERT(s[p].hash != 0);
    p = p + 1 == g->cap ? 0 : p + 1;
  }
  return p;
}

int tm_segments_remove(struct tm_table *t, struct tm_segments *x, uint32_t hash, uint32_t seq) {
  struct tm_segment *g = tm_segment_of(t, x, hash);
  struct tm_segment_slot *s = tm_segment_slots(g);
  uint32_t hole = slot_find(g, hash, seq);
  if (tm_changes_keep(t->log, g, sizeof *g) != 0 || tm_changes_keep(t->log, s + hole, sizeof *s) != 0) return -1;
  g->n--;
  for (uint32_t p = hole;;) {
    p = p + 1 == g->cap ? 0 : p + 1;
    if (s[p].hash == 0) break;
    /* may it come before where it is, as far as the hole? */
    uint32_t home = tm_segment_home(g, s[p].hash);
    if (hole <= p ? home > hole && home <= p : home > hole || home <= p) continue;
    if (tm_changes_keep(t->log, s + p, sizeof *s) != 0) return -1;
    s[hole] = s[p];
    hole = p;
  }
  s[hole] = (struct tm_segment_slot){0, 0};
  return 0;
}

int tm_segments_renumber(struct tm_table *t, struct tm_segments *x, uint32_t hash, uint32_t seq, uint32_t to) {
  struct tm_segment *g = tm_segment_of(t, x, hash);
  struct tm_segment_slot *s = tm_segment_slots(g) + slot_find(g, hash, seq);
  if (tm_changes_keep(t->log, s, sizeof *s) != 0) return -1;
  s->seq = to;
  return 0;
}

int tm_segments_visit(struct tm_visit *v, struct tm_segments *x) {
  if (x->dir == 0) return 1;
  if (!v->freeing) tm_visit_part(v, &x->dir);
  uint32_t n, i;
  for (i = v->pos; i < 1u << x->depth; i += n) {
    if (v->steps <= 0) {
      v->pos = i;
      return 0;
    }
    /* the directory may have been doubled since the last slice: at the worst a place is visited twice */
    uint32_t *dir = dir_of(v->t, x), at = dir[i];
    struct tm_segment *g = tm_heap_at(&v->t->core.heap, at);
    n = 1u << (x->depth - g->depth);
    i &= ~(n - 1);
    tm_visit_part(v, &at);
    if (!v->freeing && dir[i] != at) {
      tm_arena_mark(dir + i, n * sizeof at);
      for (uint32_t k = i; k < i + n; k++) dir[k] = at;
    }
    v->steps--;
  }
  v->pos = 0;
  if (v->freeing) tm_visit_part(v, &x->dir);
  return 1;
}
