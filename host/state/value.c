/* value.c - texts, cells, and visits of fields.
 *
 * An empty text takes no memory: its handle is one that nothing can have. */
#include "value.h"

#include "../base/err.h"
#include "deque.h"
#include "marks.h"
#include "series.h"

enum { PATCHED_LEAST = 256, PATCHED_PIECE = 64 };
static const uint32_t EMPTY = (uint32_t)TM_TEXT_EMPTY;

uint32_t tm_value_reserve(struct tm_table *t, uint32_t size) {
  uint32_t at = tm_heap_alloc(&t->core.heap, size);
  if (at != 0 && tm_changes_put(t->log, TM_CHANGE_ALLOC, t, at, 0) == NULL) {
    tm_heap_free(&t->core.heap, at);
    return 0;
  }
  return at;
}

uint32_t tm_value_alloc(struct tm_table *t, uint32_t size) {
  uint32_t at = tm_value_reserve(t, size);
  if (at != 0) tm_arena_mark(tm_heap_at(&t->core.heap, at), size);
  return at;
}

int tm_value_release(struct tm_table *t, uint32_t at) {
  return tm_changes_put(t->log, TM_CHANGE_FREE, t, at, 0) == NULL ? -1 : 0;
}

int tm_value_ruin(struct tm_table *t, uint32_t field, struct tm_state_ref ref) {
  uint32_t at = tm_value_alloc(t, sizeof(struct tm_ruin));
  if (at == 0) return -1;
  struct tm_ruin *note = tm_heap_at(&t->core.heap, at);
  *note = (struct tm_ruin){0, field, ref, 0};
  return tm_changes_put(t->log, TM_CHANGE_RUIN, t, at, 0) == NULL ? -1 : 0;
}

int32_t tm_field_begin(struct tm_table *t, void *record, int32_t field, int32_t *mark) {
  uint32_t at = tm_item_handle(t, record);
  *mark = t->log->pub.used;
  TM_ASSERT(field >= 0 && (uint32_t)field < t->fields_n);
  if (tm_item_at(t, at)->key_len == TM_ITEM_GONE) return TM_STATE_GONE;
  if (tm_table_touch(t, at) != 0) return TM_STATE_NO_MEMORY;
  int failed = tm_changes_keep(t->log, tm_field_ref(t, record, field), sizeof(struct tm_state_ref));
  return failed ? TM_STATE_NO_MEMORY : 0;
}

int32_t tm_field_end(struct tm_table *t, int32_t mark, int32_t code) {
  if (code < 0) tm_changes_undo(t->log, mark);
  return code;
}

const char *tm_text_at(const struct tm_table *t, struct tm_state_ref ref) {
  return ref.at == EMPTY ? "" : tm_heap_at(&t->core.heap, ref.at);
}

static int32_t text_put(struct tm_table *t, const char *text, int32_t len, struct tm_state_ref *out) {
  *out = (struct tm_state_ref){EMPTY, 0};
  if (len == 0) return 0;
  if (len > TM_TEXT_MAX) return TM_STATE_TOO_LONG;
  uint32_t at = tm_value_alloc(t, (uint32_t)len);
  if (at == 0) return TM_STATE_NO_MEMORY;
  memcpy(tm_heap_at(&t->core.heap, at), text, (size_t)len);
  *out = (struct tm_state_ref){at, (uint32_t)len};
  return 0;
}

static int text_drop(struct tm_table *t, struct tm_state_ref ref) {
  return ref.at == 0 || ref.at == EMPTY ? 0 : tm_value_release(t, ref.at);
}

int32_t tm_cell_put(struct tm_table *t, int32_t of, const struct tm_value *v, void *cell) {
  struct tm_state_ref ref;
  uint64_t truth = v->kind == TM_VALUE_TRUE;
  switch (of) {
    case TM_VALUE_NUMBER:
      if (v->kind != TM_VALUE_NUMBER) return TM_STATE_TYPE;
      memcpy(cell, &v->num, TM_CELL_BYTES);
      return 0;
    case TM_VALUE_TRUE:
      if (v->kind != TM_VALUE_TRUE && v->kind != TM_VALUE_FALSE) return TM_STATE_TYPE;
      memcpy(cell, &truth, TM_CELL_BYTES);
      return 0;
    default:
      if (v->kind != of) return TM_STATE_TYPE;
  }
  int32_t code = text_put(t, v->text, v->len, &ref);
  if (code == 0) memcpy(cell, &ref, TM_CELL_BYTES);
  return code;
}

int tm_cell_drop(struct tm_table *t, int32_t of, const void *cell) {
  struct tm_state_ref ref;
  if (!tm_text_kind(of)) return 0;
  memcpy(&ref, cell, sizeof ref);
  return text_drop(t, ref);
}

void tm_cell_get(const struct tm_table *t, int32_t of, const void *cell, struct tm_value *out) {
  struct tm_state_ref ref;
  *out = (struct tm_value){0, NULL, 0, of};
  if (of == TM_VALUE_NUMBER) {
    memcpy(&out->num, cell, TM_CELL_BYTES);
  } else if (of == TM_VALUE_TRUE) {
    out->kind = *(const char *)cell != 0 ? TM_VALUE_TRUE : TM_VALUE_FALSE;
  } else {
    memcpy(&ref, cell, sizeof ref);
    out->text = tm_text_at(t, ref);
    out->len = (int32_t)ref.n;
  }
}

/* ---- texts in a record's field, and emptying any field ---- */

int32_t tm_ffi_text_set(struct tm_state *s, void *record, int32_t field, const char *text, int32_t len) {
  struct tm_table *t = tm_table_of(s);
  struct tm_state_ref *ref = tm_field_ref(t, record, field), made;
  int32_t mark, code = tm_field_begin(t, record, field, &mark);
  TM_ASSERT(t->fields[field].kind == TM_FIELD_TEXT);
  if (code == 0 && text_drop(t, *ref) != 0) code = TM_STATE_NO_MEMORY;
  if (code == 0) code = text_put(t, text, len, &made);
  if (code == 0) *ref = made;
  return tm_field_end(t, mark, code);
}

int32_t tm_ffi_text_change(struct tm_state *s, void *record, int32_t field, const char *text, int32_t len) {
  const struct tm_state_ref *ref = tm_field_ref(tm_table_of(s), record, field);
  if (ref->at != 0 && ref->n == (uint32_t)len &&
      (len == 0 || memcmp(s->base + 8 * (size_t)ref->at, text, (size_t)len) == 0))
    return TM_STATE_OK;
  int32_t code = tm_ffi_text_set(s, record, field, text, len);
  return code == TM_STATE_OK ? TM_STATE_NEW : code;
}

/* Bytes [from, to) of a text become others, in its place: 0 or -1. */
static int piece_patch(struct tm_table *t, char *p, const char *text, uint32_t from, uint32_t to) {
  if (tm_changes_keep(t->log, p + from, to - from) != 0) return -1;
  memcpy(p + from, text + from, to - from);
  return 0;
}

int32_t tm_ffi_text_patch(struct tm_state *s, void *record, int32_t field, const char *text, int32_t len) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field);
  uint32_t n = (uint32_t)len, from = 0, to;
  if (ref->n != n || n < PATCHED_LEAST || ref->at == 0) return tm_ffi_text_change(s, record, field, text, len);
  TM_ASSERT(t->fields[field].kind == TM_FIELD_TEXT);
  char *p = tm_heap_at(&t->core.heap, ref->at);
  if (memcmp(p, text, n) == 0) return TM_STATE_OK;
  int32_t mark, code = tm_field_begin(t, record, field, &mark);
  /* by pieces that differ, each of some words */
  for (; code == 0 && from < n; from = to) {
    to = from + PATCHED_PIECE < n ? from + PATCHED_PIECE : n;
    if (memcmp(p + from, text + from, to - from) == 0) continue;
    if (piece_patch(t, p, text, from, to) != 0) code = TM_STATE_NO_MEMORY;
  }
  return tm_field_end(t, mark, code == 0 ? TM_STATE_NEW : code);
}

int32_t tm_ffi_state_empty(struct tm_state *s, void *record, int32_t field) {
  struct tm_table *t = tm_table_of(s);
  struct tm_state_ref *ref = tm_field_ref(t, record, field);
  int32_t mark, code = tm_field_begin(t, record, field, &mark);
  if (code == 0 && ref->at != 0) {
    int failed = t->fields[field].kind == TM_FIELD_TEXT ? text_drop(t, *ref) : tm_value_ruin(t, (uint32_t)field, *ref);
    if (failed) code = TM_STATE_NO_MEMORY;
  }
  if (code == 0) *ref = (struct tm_state_ref){0, 0};
  return tm_field_end(t, mark, code);
}

/* ---- visits ---- */

void tm_visit_part(struct tm_visit *v, uint32_t *at) {
  if (*at == 0 || *at == EMPTY) return;
  if (v->freeing) {
    tm_heap_free(&v->t->core.heap, *at);
  } else if (tm_heap_leaving(&v->t->core.heap, *at)) {
    tm_arena_mark(at, sizeof *at);
    *at = tm_heap_move(&v->t->core.heap, *at);
  }
}

void tm_visit_cells(struct tm_visit *v, void *cells, uint32_t n, uint32_t stride, int32_t of) {
  if (v->bare || !tm_text_kind(of)) {
    v->steps--;
    return;
  }
  char *p = cells;
  for (uint32_t i = 0; i < n; i++, p += stride) tm_visit_part(v, &((struct tm_state_ref *)(void *)p)->at);
  v->steps -= (int32_t)n;
}

int tm_visit_field(struct tm_visit *v, const struct tm_state_field *f, struct tm_state_ref *ref) {
  switch (f->kind) {
    case TM_FIELD_TEXT:
      tm_visit_part(v, &ref->at);
      v->steps--;
      return 1;
    case TM_FIELD_LIST: {
      struct tm_deque_cells cells = {{f->of, -1}, 1, 0};
      return tm_deque_visit(v, &ref->at, ref->n, f->of == TM_VALUE_TRUE ? 1 : TM_CELL_BYTES, &cells);
    }
    case TM_FIELD_SERIES:
      return tm_series_visit(v, f, ref);
    case TM_FIELD_MARKS:
      return tm_visit_marks(v, ref);
    default:
      return tm_visit_map(v, f, ref);
  }
}
