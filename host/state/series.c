/* series.c - tagged cells, and entries put in and taken off. The reference itself is kept by whoever announced the record. */
#include "series.h"

#include "../base/err.h"

static uint64_t cell_of(int tag, uint32_t at) { return (uint64_t)tag << 48 | at; }

static int32_t text_put(struct tm_table *t, int tag, const char *text, uint32_t len, uint64_t *cell) {
  if (len > TM_TEXT_MAX) return TM_STATE_TOO_LONG;
  uint32_t at = tm_value_alloc(t, (uint32_t)sizeof len + len);
  if (at == 0) return TM_STATE_NO_MEMORY;
  char *p = tm_heap_at(&t->core.heap, at);
  memcpy(p, &len, sizeof len);
  if (len > 0) memcpy(p + sizeof len, text, len);
  *cell = cell_of(tag, at);
  return 0;
}

int32_t tm_tagged_put(struct tm_table *t, const struct tm_value *v, uint64_t *cell) {
  union tm_tagged as;
  switch (v->kind) {
    case TM_VALUE_NUMBER:
      as.num = v->num;
      *cell = as.bits;
      return v->num == v->num ? 0 : TM_STATE_TYPE;
    case TM_VALUE_STRING:
    case TM_VALUE_ANY:
      return text_put(t, v->kind == TM_VALUE_ANY ? TM_TAG_JSON : TM_TAG_TEXT, v->text, (uint32_t)v->len, cell);
    case TM_VALUE_FALSE:
    case TM_VALUE_TRUE:
      *cell = cell_of(v->kind == TM_VALUE_TRUE ? TM_TAG_TRUE : TM_TAG_FALSE, 0);
      return 0;
    default:
      *cell = cell_of(TM_TAG_NIL, 0);
      return 0;
  }
}

int32_t tm_tagged_copy(struct tm_table *t, uint64_t from, uint64_t *cell) {
  struct tm_value v;
  *cell = from;
  if (!tm_tag_has_text(from)) return 0;
  tm_tagged_get(t, from, &v);
  return text_put(t, tm_tag_of(from), v.text, (uint32_t)v.len, cell);
}

void tm_tagged_get(const struct tm_table *t, uint64_t cell, struct tm_value *out) {
  union tm_tagged as = {.bits = cell};
  *out = (struct tm_value){0, NULL, 0, TM_VALUE_NIL};
  if (tm_tag_has_text(cell)) {
    const char *p = tm_heap_at(&t->core.heap, (uint32_t)cell);
    memcpy(&out->len, p, sizeof out->len);
    out->text = p + sizeof out->len;
    out->kind = tm_tag_of(cell) == TM_TAG_JSON ? TM_VALUE_ANY : TM_VALUE_STRING;
  } else if (tm_tag_is_number(cell)) {
    out->num = as.num;
    out->kind = TM_VALUE_NUMBER;
  } else if (tm_tag_of(cell) != TM_TAG_NIL) {
    out->kind = tm_tag_of(cell) == TM_TAG_TRUE ? TM_VALUE_TRUE : TM_VALUE_FALSE;
  }
}

/* the texts of n entries go */
static int texts_drop(const struct tm_series *x, uint32_t from, uint32_t n) {
  for (uint32_t i = from; i < from + n; i++) {
    const uint64_t *e = tm_series_at(x, i);
    for (uint32_t c = 0; c < x->size / TM_CELL_BYTES; c++) {
      if (tm_tag_has_text(e[c]) && tm_value_release(x->t, (uint32_t)e[c]) != 0) return -1;
    }
  }
  return 0;
}

static void cells_copy(uint64_t *to, const uint64_t *from, uint32_t size) {
  for (uint32_t c = 0; c < size / TM_CELL_BYTES; c++) to[c] = from[c];
}

/* ---- entries in the record ---- */

static int is_inline(const struct tm_series *x) { return x->ref->at == TM_SERIES_INLINE || (x->ref->at == 0 && x->room > 0); }

static uint64_t *inline_insert(const struct tm_series *x, uint32_t i) {
  x->ref->at = TM_SERIES_INLINE;
  for (uint32_t at = x->ref->n; at > i; at--) cells_copy(tm_series_at(x, at), tm_series_at(x, at - 1), x->size);
  x->ref->n++;
  return tm_series_at(x, i);
}

/* All entries go to a deque, as one more would not fit. */
static int inline_leave(const struct tm_series *x) {
  uint32_t cap = 1;
  while (cap <= x->ref->n) cap *= 2;
  uint32_t at = tm_deque_new(x->t, cap, x->size);
  if (at == 0) return -1;
  for (uint32_t i = 0; i < x->ref->n; i++) cells_copy(tm_deque_at(x->t, at, i, x->size), tm_series_at(x, i), x->size);
  x->ref->at = at;
  return 0;
}

/* So few are left that they lie in the record again; half the room is left for more, as the size may go up and down. */
static int inline_enter(const struct tm_series *x) {
  struct tm_state_ref old = *x->ref;
  uint64_t *to = (uint64_t *)(void *)(x->ref + 1);
  for (uint32_t i = 0; i < old.n; i++) cells_copy(to + i * (x->size / TM_CELL_BYTES), tm_deque_at(x->t, old.at, i, x->size), x->size);
  x->ref->at = TM_SERIES_INLINE;
  return tm_value_release(x->t, old.at);
}

/* ---- in either place ---- */

uint64_t *tm_series_insert(const struct tm_series *x, uint32_t i) {
  struct tm_state_ref *ref = x->ref;
  TM_ASSERT(i <= ref->n);
  if (is_inline(x)) {
    if (ref->n < x->room) return inline_insert(x, i);
    if (inline_leave(x) != 0) return NULL;
  }
  uint64_t *slot = tm_deque_push(x->t, &ref->at, ref->n, x->size);
  if (slot == NULL) return NULL;
  /* piece by piece: the last of each goes to the place in front of the next one */
  for (uint32_t at = ref->n, n; at > i; at -= n) {
    n = tm_deque_run(x->t, ref->at, at - 1, x->size);
    if (n > at - i) n = at - i;
    uint64_t *first = tm_series_at(x, at - n), *last = tm_series_at(x, at - 1);
    if (tm_changes_keep(x->t->log, first, n * x->size) != 0) return NULL;
    cells_copy(slot, last, x->size);
    memmove(first + x->size / TM_CELL_BYTES, first, (size_t)(n - 1) * x->size);
    slot = first;
  }
  ref->n++;
  return slot;
}

int tm_series_cut(const struct tm_series *x, uint32_t n) {
  struct tm_state_ref *ref = x->ref;
  if (n == 0) return 0;
  if (texts_drop(x, 0, n) != 0) return -1;
  if (is_inline(x)) {
    for (uint32_t i = n; i < ref->n; i++) cells_copy(tm_series_at(x, i - n), tm_series_at(x, i), x->size);
    ref->n -= n;
    return 0;
  }
  if (tm_deque_shift(x->t, &ref->at, ref->n, x->size, n) != 0) return -1;
  ref->n -= n;
  return ref->n > 0 && ref->n <= x->room / 2 && !tm_deque_is_big(x->t, ref->at) ? inline_enter(x) : 0;
}

int tm_series_pop(const struct tm_series *x) {
  struct tm_state_ref *ref = x->ref;
  if (texts_drop(x, ref->n - 1, 1) != 0) return -1;
  if (!is_inline(x) && tm_deque_pop(x->t, &ref->at, ref->n, x->size) != 0) return -1;
  ref->n--;
  return 0;
}

void tm_visit_tagged(struct tm_visit *v, void *cells, uint32_t n) {
  uint64_t *cell = cells;
  for (uint32_t i = 0; i < n; i++) {
    if (!tm_tag_has_text(cell[i])) continue;
    uint32_t at = (uint32_t)cell[i];
    tm_visit_part(v, &at);
    if (at == (uint32_t)cell[i]) continue;
    tm_arena_mark(cell + i, sizeof cell[i]);
    cell[i] = (cell[i] & ~(uint64_t)UINT32_MAX) | at;
  }
  v->steps -= (int32_t)n;
}

int tm_series_visit(struct tm_visit *v, const struct tm_state_field *f, struct tm_state_ref *ref) {
  struct tm_deque_cells cells = {{-1, -1}, 0, 1};
  if (ref->at != TM_SERIES_INLINE) return tm_deque_visit(v, &ref->at, ref->n, (uint32_t)f->of * TM_CELL_BYTES, &cells);
  tm_visit_tagged(v, ref + 1, ref->n * (uint32_t)f->of);
  return 1;
}
