/* deque.c - growth and shrinking of a row of elements by bounded steps.
 *
 * From ring to chunks at 1 KiB, back at 256 bytes, so that a size that goes up and down does not copy each time. The
 * chunk of the last element is never the one of the first come round: a directory is grown before that. */
#include "deque.h"

enum { RING_FIRST_BYTES = 8, DIR_FIRST = 4, BACK_BYTES = 256 };

static struct tm_deque *deque_get(const struct tm_table *t, uint32_t root) { return tm_heap_at(&t->core.heap, root); }
static uint32_t *dir_of(struct tm_deque *d) { return (uint32_t *)(d + 1); }
static int is_big(const struct tm_deque *d) { return (d->cap & TM_DEQUE_BIG) != 0; }
static uint32_t dir_cap(const struct tm_deque *d) { return d->cap & ~TM_DEQUE_BIG; }

static int root_set(struct tm_table *t, uint32_t *root, uint32_t at) {
  if (tm_changes_keep(t->log, root, sizeof *root) != 0) return -1;
  *root = at;
  return 0;
}

uint32_t tm_deque_new(struct tm_table *t, uint32_t cap, uint32_t size) {
  uint32_t at = tm_value_alloc(t, (uint32_t)sizeof(struct tm_deque) + cap * size);
  if (at != 0) *deque_get(t, at) = (struct tm_deque){0, cap};
  return at;
}

/* a directory for n chunks, all 0 */
static uint32_t dir_new(struct tm_table *t, uint32_t n, uint32_t head) {
  uint32_t at = tm_value_alloc(t, (uint32_t)sizeof(struct tm_deque) + n * 4);
  if (at == 0) return 0;
  struct tm_deque *d = deque_get(t, at);
  *d = (struct tm_deque){head, TM_DEQUE_BIG | n};
  memset(dir_of(d), 0, n * 4u);
  return at;
}

static void copy_out(const struct tm_table *t, uint32_t root, uint32_t len, uint32_t size, char *to) {
  for (uint32_t i = 0; i < len; i++) memcpy(to + i * size, tm_deque_at(t, root, i, size), size);
}

/* how large a ring becomes */
static uint32_t ring_bytes(uint32_t size) {
  if (size < TM_ENTRY_BYTES) return TM_RING_BYTES;
  return size * TM_RING_ENTRIES < TM_CHUNK_BYTES ? size * TM_RING_ENTRIES : TM_CHUNK_BYTES;
}

/* a larger ring, or one chunk and a directory */
static int ring_grow(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size) {
  uint32_t old = *root, cap = deque_get(t, old)->cap, at;
  if (cap * size < ring_bytes(size)) {
    at = tm_deque_new(t, cap * 2, size);
    if (at == 0) return -1;
    copy_out(t, old, len, size, (char *)(deque_get(t, at) + 1));
  } else {
    uint32_t chunk = tm_value_reserve(t, TM_CHUNK_BYTES);
    at = chunk == 0 ? 0 : dir_new(t, DIR_FIRST, 0);
    if (at == 0) return -1;
    tm_arena_mark(tm_heap_at(&t->core.heap, chunk), (size_t)len * size);
    dir_of(deque_get(t, at))[0] = chunk;
    copy_out(t, old, len, size, tm_heap_at(&t->core.heap, chunk));
  }
  return tm_value_release(t, old) != 0 ? -1 : root_set(t, root, at);
}

static int dir_grow(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size) {
  struct tm_deque *d = deque_get(t, *root);
  uint32_t per = TM_CHUNK_BYTES / size, cap = dir_cap(d), first = d->head / per % cap, head = d->head % per;
  uint32_t used = (head + len + per - 1) / per, at = dir_new(t, cap * 2, head);
  if (at == 0) return -1;
  struct tm_deque *made = deque_get(t, at);
  for (uint32_t i = 0; i < used; i++) dir_of(made)[i] = dir_of(d)[(first + i) & (cap - 1)];
  return tm_value_release(t, *root) != 0 ? -1 : root_set(t, root, at);
}

void *tm_deque_push(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size) {
  if (*root == 0) {
    uint32_t at = tm_deque_new(t, size >= RING_FIRST_BYTES ? 1 : RING_FIRST_BYTES / size, size);
    if (at == 0 || root_set(t, root, at) != 0) return NULL;
  }
  struct tm_deque *d = deque_get(t, *root);
  if (!is_big(d)) {
    if (len == d->cap && ring_grow(t, root, len, size) != 0) return NULL;
    d = deque_get(t, *root);
  }
  if (is_big(d)) {
    uint32_t per = TM_CHUNK_BYTES / size;
    if (len >= (dir_cap(d) - 1) * per) {
      if (dir_grow(t, root, len, size) != 0) return NULL;
      d = deque_get(t, *root);
    }
    uint32_t *chunk = dir_of(d) + ((d->head + len) & (dir_cap(d) * per - 1)) / per;
    if (*chunk == 0) {
      uint32_t at = tm_value_reserve(t, TM_CHUNK_BYTES);
      if (at == 0 || root_set(t, chunk, at) != 0) return NULL;
    }
  }
  void *slot = tm_deque_at(t, *root, len, size);
  return tm_changes_keep(t->log, slot, size) == 0 ? slot : NULL;
}

/* the directory's chunks [from, from + n) go */
static int chunks_release(struct tm_table *t, struct tm_deque *d, uint32_t from, uint32_t n) {
  for (uint32_t i = from; i < from + n; i++) {
    uint32_t *chunk = dir_of(d) + (i & (dir_cap(d) - 1));
    if (*chunk == 0) continue;
    if (tm_value_release(t, *chunk) != 0 || root_set(t, chunk, 0) != 0) return -1;
  }
  return 0;
}

/* what is left when few are left: nothing, or a ring again */
static int settle(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size) {
  struct tm_deque *d = deque_get(t, *root);
  uint32_t old = *root, at = 0, per = TM_CHUNK_BYTES / size;
  if (len > 0 && (!is_big(d) || len * size > BACK_BYTES)) return 0;
  if (len > 0) {
    uint32_t cap = RING_FIRST_BYTES / size == 0 ? 1 : RING_FIRST_BYTES / size;
    while (cap < len) cap *= 2;
    at = tm_deque_new(t, cap, size);
    if (at == 0) return -1;
    copy_out(t, old, len, size, (char *)(deque_get(t, at) + 1));
  }
  if (is_big(d) && chunks_release(t, d, d->head / per % dir_cap(d), 2) != 0) return -1;
  return tm_value_release(t, old) != 0 ? -1 : root_set(t, root, at);
}

int tm_deque_pop(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size) {
  struct tm_deque *d = deque_get(t, *root);
  uint32_t per = TM_CHUNK_BYTES / size;
  if (is_big(d) && len > 1 && (d->head + len - 1) % per == 0) {
    if (chunks_release(t, d, (d->head + len - 1) / per, 1) != 0) return -1;
  }
  return settle(t, root, len - 1, size);
}

int tm_deque_shift(struct tm_table *t, uint32_t *root, uint32_t len, uint32_t size, uint32_t n) {
  struct tm_deque *d = deque_get(t, *root);
  uint32_t per = TM_CHUNK_BYTES / size;
  if (tm_changes_keep(t->log, &d->head, sizeof d->head) != 0) return -1;
  if (!is_big(d)) {
    d->head = (d->head + n) & (d->cap - 1);
  } else {
    uint32_t first = d->head / per, gone = (d->head + n) / per - first;
    d->head = (d->head + n) & (dir_cap(d) * per - 1);
    if (chunks_release(t, d, first, gone) != 0) return -1;
  }
  return settle(t, root, len - n, size);
}

static void cells_visit(struct tm_visit *v, char *elements, uint32_t n, uint32_t size, const struct tm_deque_cells *cells) {
  if (cells->tagged) tm_visit_tagged(v, elements, n * (size / TM_CELL_BYTES));
  for (uint32_t i = 0; i < cells->n; i++) tm_visit_cells(v, elements + i * TM_CELL_BYTES, n, size, cells->of[i]);
}

int tm_deque_visit(struct tm_visit *v, uint32_t *root, uint32_t len, uint32_t size, const struct tm_deque_cells *cells) {
  if (*root == 0) return 1;
  if (!v->freeing) tm_visit_part(v, root);
  struct tm_deque *d = deque_get(v->t, *root);
  if (!is_big(d)) {
    /* in two pieces if the ring's end is between */
    uint32_t from = d->head, first = d->cap - from < len ? d->cap - from : len;
    char *elements = (char *)(d + 1);
    cells_visit(v, elements + (size_t)from * size, first, size, cells);
    cells_visit(v, elements, len - first, size, cells);
  } else {
    uint32_t per = TM_CHUNK_BYTES / size, skip = d->head % per, used = (skip + len + per - 1) / per;
    for (uint32_t i = v->pos; i < used; i++) {
      if (v->steps <= 0) {
        v->pos = i;
        return 0;
      }
      uint32_t *chunk = dir_of(d) + ((d->head / per + i) & (dir_cap(d) - 1));
      uint32_t from = i == 0 ? skip : 0, to = i + 1 == used ? skip + len - i * per : per;
      cells_visit(v, (char *)tm_heap_at(&v->t->core.heap, *chunk) + (size_t)from * size, to - from, size, cells);
      tm_visit_part(v, chunk);
    }
  }
  v->pos = 0;
  if (v->freeing) tm_visit_part(v, root);
  return 1;
}
