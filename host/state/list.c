/* list.c - lists in a record's field: tm_state_ref.at is a deque's root, n its length.
 *
 * Elements are cells of 8 bytes, booleans one byte each. */
#include "deque.h"

#include "../base/err.h"

static uint32_t size_of(int32_t of) { return of == TM_VALUE_TRUE ? 1 : TM_CELL_BYTES; }

static const struct tm_state_field *list_field(const struct tm_table *t, int32_t field) {
  TM_ASSERT(field >= 0 && (uint32_t)field < t->fields_n && t->fields[field].kind == TM_FIELD_LIST);
  return t->fields + field;
}


static int32_t first_drop(struct tm_table *t, struct tm_state_ref *ref, int32_t of) {
  uint32_t size = size_of(of);
  if (tm_cell_drop(t, of, tm_deque_at(t, ref->at, 0, size)) != 0) return TM_STATE_NO_MEMORY;
  if (tm_deque_shift(t, &ref->at, ref->n, size, 1) != 0) return TM_STATE_NO_MEMORY;
  ref->n--;
  return 0;
}

int32_t tm_ffi_list_push(struct tm_state *s, void *record, int32_t field, const struct tm_value *v) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_state_field *f = list_field(t, field);
  struct tm_state_ref *ref = tm_field_ref(t, record, field);
  char cell[TM_CELL_BYTES];
  int32_t mark, code = tm_field_begin(t, record, field, &mark);
  if (code == 0) code = tm_cell_put(t, f->of, v, cell);
  if (code == 0 && f->max > 0 && ref->n >= (uint32_t)f->max) code = first_drop(t, ref, f->of);
  if (code == 0 && ref->n >= TM_ELEMENTS_MAX) code = TM_STATE_TOO_LONG;
  if (code == 0) {
    void *slot = tm_deque_push(t, &ref->at, ref->n, size_of(f->of));
    if (slot == NULL) code = TM_STATE_NO_MEMORY;
    else memcpy(slot, cell, size_of(f->of));
  }
  if (code == 0) ref->n++;
  return tm_field_end(t, mark, code);
}

/* i counts from 1: the index from 0, or -1 */
static int64_t index_of(const struct tm_state_ref *ref, double i) {
  if (!(i >= 1 && i <= (double)ref->n)) return -1;
  int64_t n = (int64_t)i;
  return (double)n == i ? n - 1 : -1;
}

int32_t tm_ffi_list_set(struct tm_state *s, void *record, int32_t field, double i, const struct tm_value *v) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_state_field *f = list_field(t, field);
  struct tm_state_ref *ref = tm_field_ref(t, record, field);
  uint32_t size = size_of(f->of);
  char cell[TM_CELL_BYTES];
  int64_t at = index_of(ref, i);
  if (at < 0) return TM_STATE_RANGE;
  int32_t mark, code = tm_field_begin(t, record, field, &mark);
  if (code == 0) code = tm_cell_put(t, f->of, v, cell);
  if (code == 0) {
    void *slot = tm_deque_at(t, ref->at, (uint32_t)at, size);
    if (tm_changes_keep(t->log, slot, size) != 0 || tm_cell_drop(t, f->of, slot) != 0) code = TM_STATE_NO_MEMORY;
    else memcpy(slot, cell, size);
  }
  return tm_field_end(t, mark, code);
}

int32_t tm_ffi_list_get(struct tm_state *s, const void *record, int32_t field, double i, struct tm_value *out) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_state_field *f = list_field(t, field);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field);
  int64_t at = index_of(ref, i);
  if (at < 0) return TM_STATE_RANGE;
  if (out != NULL) tm_cell_get(t, f->of, tm_deque_at(t, ref->at, (uint32_t)at, size_of(f->of)), out);
  return 0;
}

/* Takes the last element, or the first. What it was stays readable until the commit. */
static int32_t end_take(struct tm_table *t, void *record, int32_t field, int last, struct tm_value *out) {
  const struct tm_state_field *f = list_field(t, field);
  struct tm_state_ref *ref = tm_field_ref(t, record, field);
  uint32_t size = size_of(f->of);
  if (ref->n == 0) return TM_STATE_RANGE;
  int32_t mark, code = tm_field_begin(t, record, field, &mark);
  if (code != 0) return tm_field_end(t, mark, code);
  void *cell = tm_deque_at(t, ref->at, last ? ref->n - 1 : 0, size);
  struct tm_value v;
  tm_cell_get(t, f->of, cell, &v);
  int failed = tm_cell_drop(t, f->of, cell);
  if (!failed) failed = last ? tm_deque_pop(t, &ref->at, ref->n, size) : tm_deque_shift(t, &ref->at, ref->n, size, 1);
  if (failed) code = TM_STATE_NO_MEMORY;
  else ref->n--;
  if (!failed && out != NULL) *out = v;
  return tm_field_end(t, mark, code);
}

int32_t tm_ffi_list_pop(struct tm_state *s, void *record, int32_t field, struct tm_value *out) {
  return end_take(tm_table_of(s), record, field, 1, out);
}

int32_t tm_ffi_list_shift(struct tm_state *s, void *record, int32_t field, struct tm_value *out) {
  return end_take(tm_table_of(s), record, field, 0, out);
}
