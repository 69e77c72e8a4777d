/* care.c - housekeeping between events: freeing what is large, shrinking the index, closing holes, emptying sparse blocks.
 *
 * Each commit of an event that added or removed something does a share of it, so a state that goes on working comes
 * down to what it needs, and none of its calls takes long. Nothing may hold a pointer into the state meanwhile.
 *
 * Sparse blocks: when less than 4/7 of the heap's pages is in use, a pass marks the blocks with few living slots, visits
 * all items in order of their hashes (an order that survives growth, and that nobody sees) and moves what lies in marked
 * blocks, with all its values; then the blocks are empty. */
#include "../base/err.h"
#include "value.h"

enum { SWEEP_NONE = 0, SWEEP_MARK = 1, SWEEP_MOVE = 2, SWEEP_UNMARK = 3 };
enum { BLOCKS_A_STEP = 4, RUIN_NOW = 64 };
static const double WASTE_MIN = 128 * 1024;
static const uint64_t END = (uint64_t)1 << 32;

/* ---- freeing ---- */

static struct tm_state_ref *field_of(const struct tm_table *t, uint32_t at, uint32_t field) {
  return (struct tm_state_ref *)(void *)(tm_record_at(t, at) + t->fields[field].off);
}

static struct tm_dead_item *dead_at(const struct tm_table *t, uint32_t at) {
  return (struct tm_dead_item *)(void *)tm_item_at(t, at);
}

/* frees what hangs off a removed item, then the item: 1 when that is done */
static int item_free(struct tm_table *t, uint32_t at, int32_t *steps) {
  struct tm_dead_item *dead = dead_at(t, at);
  for (uint32_t i = 0; i < t->fields_n; i++) {
    struct tm_state_ref *ref = field_of(t, at, i);
    if (ref->at == 0) continue;
    struct tm_visit v = {t, 1, 0, *steps, dead->pos};
    tm_arena_mark(dead, sizeof *dead);
    tm_arena_mark(ref, sizeof *ref);
    int done = tm_visit_field(&v, t->fields + i, ref);
    *steps = v.steps;
    dead->pos = v.pos;
    if (!done) return 0;
    ref->at = 0;
  }
  tm_heap_free(&t->core.heap, at);
  return 1;
}

void tm_item_ruin(struct tm_table *t, uint32_t at) {
  struct tm_dead_item *dead = dead_at(t, at);
  int32_t steps = RUIN_NOW;
  t->moves++;
  if (t->fields_n == 0) {
    tm_heap_free(&t->core.heap, at);
    return;
  }
  tm_arena_mark(dead, sizeof *dead);
  dead->pos = 0;
  if (item_free(t, at, &steps)) return;
  dead->next = t->core.ruin_items;
  t->core.ruin_items = at;
}

static int note_free(struct tm_table *t, uint32_t at, int32_t *steps) {
  struct tm_ruin *note = tm_heap_at(&t->core.heap, at);
  struct tm_visit v = {t, 1, (note->field & TM_RUIN_BARE) != 0, *steps, note->pos};
  tm_arena_mark(note, sizeof *note);
  int done = tm_visit_field(&v, t->fields + (note->field & ~(uint32_t)TM_RUIN_BARE), &note->ref);
  *steps = v.steps;
  note->pos = v.pos;
  if (done) tm_heap_free(&t->core.heap, at);
  return done;
}

void tm_note_ruin(struct tm_table *t, uint32_t at) {
  struct tm_ruin *note = tm_heap_at(&t->core.heap, at);
  int32_t steps = RUIN_NOW;
  if (note_free(t, at, &steps)) return;
  note->next = t->core.ruin_notes;
  t->core.ruin_notes = at;
}

static int ruins_care(struct tm_table *t, int32_t steps) {
  struct tm_core *c = &t->core;
  while (steps > 0 && c->ruin_items != 0) {
    uint32_t at = c->ruin_items, next = dead_at(t, at)->next;
    if (item_free(t, at, &steps)) c->ruin_items = next;
    steps--;
  }
  while (steps > 0 && c->ruin_notes != 0) {
    uint32_t at = c->ruin_notes, next = ((struct tm_ruin *)tm_heap_at(&c->heap, at))->next;
    if (note_free(t, at, &steps)) c->ruin_notes = next;
    steps--;
  }
  return c->ruin_items != 0 || c->ruin_notes != 0;
}

/* ---- holes in the order of arrival ---- */

/* A walk that stands between write and read stands before nothing but holes: it stays before what moves to `write`. */
static void cursors_fix(struct tm_table *t) {
  const struct tm_arrival *a = &t->core.arrival;
  for (struct tm_cursor *w = t->cursors; w != NULL; w = w->next) {
    if (w->at > a->write && w->at <= a->read) w->at = a->write;
  }
}

static int arrival_care(struct tm_table *t, int32_t steps) {
  enum { AHEAD = 16 };
  struct tm_arrival *a = &t->core.arrival;
  for (int32_t i = 0; a->passing && i < steps && a->read < a->end; i++) {
    uint32_t pos;
    if (a->read + AHEAD < a->end) __builtin_prefetch(tm_item_at(t, *tm_arrival_at(a, (uint32_t)a->read + AHEAD)), 1);
    if (t->cursors != NULL) cursors_fix(t);
    uint32_t at = tm_arrival_step(a, &pos);
    if (at != 0) tm_item_change(t, at)->arrival = pos;
  }
  if (a->passing && t->cursors != NULL) cursors_fix(t);
  return tm_arrival_care(a, t->core.index.n, steps);
}

/* ---- sparse blocks ---- */

static double waste_of(const struct tm_core *c) { return c->heap.page_bytes - c->heap.live_bytes; }

static int sweep_due(const struct tm_core *c) {
  double waste = waste_of(c);
  return waste > c->heap.live_bytes * 0.75 + WASTE_MIN && waste > c->sweep_waste * 1.25 + WASTE_MIN;
}

/* the item in slot s leaves its block if that is marked; where it lies then */
static uint32_t item_move(struct tm_table *t, struct tm_index_slot *s) {
  struct tm_core *c = &t->core;
  uint32_t old = s->at, at = tm_heap_leaving(&c->heap, old) ? tm_heap_move(&c->heap, old) : old;
  if (at == old) return at;
  t->moves++;
  tm_arena_mark(s, sizeof *s);
  s->at = at;
  tm_arrival_set(&c->arrival, tm_item_at(t, at)->arrival, at);
  if (t->timed) tm_due_moved(t, old, at);
  if (!t->links) return at;
  struct tm_links l = *tm_links_at(t, at);
  if (l.prev != 0) tm_links_change(t, l.prev)->next = at;
  else c->oldest = at;
  if (l.next != 0) tm_links_change(t, l.next)->prev = at;
  else c->newest = at;
  return at;
}

/* Item and values of slot s, going on where the last slice ended: 1 when all is visited. */
static int item_visit(struct tm_table *t, struct tm_index_slot *s, int32_t *steps) {
  struct tm_core *c = &t->core;
  struct tm_visit v = {t, 0, 0, *steps - 1, 0};
  uint32_t at = item_move(t, s), i = 0;
  if (c->sweep_item != 0) {
    i = c->sweep_field;
    v.pos = c->sweep_pos;
    c->sweep_item = 0;
  }
  for (; i < t->fields_n; i++) {
    struct tm_state_ref *ref = field_of(t, at, i);
    if (ref->at != 0 && !tm_visit_field(&v, t->fields + i, ref)) {
      c->sweep_item = at;
      c->sweep_field = i;
      c->sweep_pos = v.pos;
      *steps = 0;
      return 0;
    }
  }
  *steps = v.steps;
  return 1;
}

/* the smallest hash that may lie at slot p or behind, when the slot before is empty */
static uint64_t hash_at(const struct tm_index *x, uint32_t p) {
  uint64_t low = (((uint64_t)p << 32) + x->low - 1) / x->low, high = (((uint64_t)p << 32) + x->high - 1) / x->high;
  return low < x->bound ? low : high > x->bound ? high : x->bound;
}

/* visits the items from sweep_hash on; 1 when it came to the end */
static int sweep_move(struct tm_table *t, int32_t steps) {
  struct tm_core *c = &t->core;
  struct tm_index *x = &c->index;
  uint32_t p = tm_index_home(x, (uint32_t)c->sweep_hash), end = x->low > x->high ? x->low : x->high, q;
  while (steps > 0) {
    struct tm_index_slot *s = x->slots + p;
    if (s->at == 0) {
      if (p >= end) return 1;
      uint64_t from = hash_at(x, ++p);
      if (from > c->sweep_hash) c->sweep_hash = from;
      if (c->sweep_hash >= END) return 1;
      steps--;
      continue;
    }
    if (s->hash < c->sweep_hash) {
      p++;
      continue;
    }
    /* all that share a hash together; one with large values takes several slices */
    c->sweep_hash = s->hash;
    for (q = p; c->sweep_item != 0 && x->slots[q].at != c->sweep_item; q++) {
      if (x->slots[q].at == 0 || x->slots[q].hash != s->hash) c->sweep_item = 0;
    }
    if (c->sweep_item != 0) p = q;
    for (; x->slots[p].at != 0 && x->slots[p].hash == c->sweep_hash; p++) {
      if (!item_visit(t, x->slots + p, &steps)) return 0;
    }
    if (++c->sweep_hash >= END) return 1;
  }
  return 0;
}

static int sweep_care(struct tm_table *t, int32_t steps) {
  struct tm_core *c = &t->core;
  uint32_t blocks = (uint32_t)steps * BLOCKS_A_STEP;
  switch (c->sweep) {
    case SWEEP_NONE:
      if (!sweep_due(c)) return 0;
      c->sweep = SWEEP_MARK;
      c->sweep_block = 1;
      break;
    case SWEEP_MARK:
      tm_heap_mark(&c->heap, c->sweep_block, blocks);
      c->sweep_block += blocks;
      if (c->sweep_block < c->heap.blocks) break;
      c->sweep = SWEEP_MOVE;
      c->sweep_hash = 0;
      c->sweep_item = 0;
      break;
    case SWEEP_MOVE:
      if (!sweep_move(t, steps)) break;
      c->sweep = SWEEP_UNMARK;
      c->sweep_block = 1;
      break;
    default:
      tm_heap_unmark(&c->heap, c->sweep_block, blocks);
      c->sweep_block += blocks;
      if (c->sweep_block < c->heap.blocks) break;
      c->sweep = SWEEP_NONE;
      c->sweep_waste = waste_of(c);
  }
  return 1;
}

/* ---- all of it ---- */

int tm_table_care(struct tm_table *t, int32_t steps) {
  struct tm_core *c = &t->core;
  int more = ruins_care(t, steps);
  more |= tm_index_care(&c->index, steps);
  more |= arrival_care(t, steps);
  /* what is being freed would be moved for nothing */
  if (c->ruin_items == 0 && c->ruin_notes == 0) more |= sweep_care(t, steps);
  return more;
}

size_t tm_core_bleed(struct tm_core *core, size_t most) {
  struct tm_region *regions[] = {&core->heap.mem, &core->heap.meta, &core->index.mem};
  size_t left = most - tm_arrival_bleed(&core->arrival, most);
  for (size_t i = 0; i < sizeof regions / sizeof regions[0] && left > 0; i++) {
    struct tm_region *r = regions[i];
    if (!tm_region_forget(r, r->open)) return most;
    size_t n = r->open < left ? r->open : left;
    tm_region_drop(r, r->open - n, r->open);
    r->open -= n;
    left -= n;
  }
  return most - left;
}
