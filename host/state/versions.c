/* versions.c - rows of a table that hold from a time on: two lists side by side in a record, in order of time.
 *
 *   field       LIST of NUMBER   | time | time | time |        ascending, no two alike
 *   field + 1   LIST of STRING   | row  | row  |      |        an empty row: from then on there is none
 *
 * A row that comes late is put in its place: both lists move up behind it, in pieces of a chunk. So a put costs 16 bytes of
 * copying (and as much of the log) for each later version of its key, the one exception to the layer's rule 3; mostly there are
 * none. Here is also what makes a row that lies in a state the written value of a view, where a sink takes it from. */
#include "../base/err.h"
#include "deque.h"

struct versions {
  struct tm_table *t;
  struct tm_state_ref *times, *rows;
};

static struct versions versions_of(struct tm_state *s, const void *record, int32_t field) {
  struct tm_table *t = tm_table_of(s);
  TM_ASSERT(field >= 0 && (uint32_t)field + 1 < t->fields_n);
  TM_ASSERT(t->fields[field].kind == TM_FIELD_LIST && t->fields[field].of == TM_VALUE_NUMBER);
  TM_ASSERT(t->fields[field + 1].kind == TM_FIELD_LIST && t->fields[field + 1].of == TM_VALUE_STRING);
  return (struct versions){t, tm_field_ref(t, record, field), tm_field_ref(t, record, field + 1)};
}

static double time_at(const struct versions *v, uint32_t i) {
  double time;
  memcpy(&time, tm_deque_at(v->t, v->times->at, i, TM_CELL_BYTES), sizeof time);
  return time;
}

static void row_at(const struct versions *v, uint32_t i, struct tm_value *out) {
  tm_cell_get(v->t, TM_VALUE_STRING, tm_deque_at(v->t, v->rows->at, i, TM_CELL_BYTES), out);
}

/* how many are not later than time; mostly all, or all but few */
static uint32_t upto(const struct versions *v, double time) {
  uint32_t low = 0, high = v->times->n, step = 1;
  if (high == 0 || time_at(v, high - 1) <= time) return high;
  while (step < high && time_at(v, high - step) > time) step *= 2;
  if (step < high) low = high - step;
  while (low < high) {
    uint32_t mid = low + (high - low) / 2;
    if (time_at(v, mid) <= time) low = mid + 1;
    else high = mid;
  }
  return low;
}

/* One more element, number i: 0 or -1. The elements from i on move up, a contiguous piece at a time. */
static int insert(struct tm_table *t, struct tm_state_ref *ref, uint32_t i, const void *cell) {
  uint32_t k = ref->n;
  if (tm_deque_push(t, &ref->at, ref->n, TM_CELL_BYTES) == NULL) return -1;
  ref->n++;
  while (k > i) {
    uint32_t run = tm_deque_run(t, ref->at, k - 1, TM_CELL_BYTES), n = k - i < run ? k - i : run;
    char *last = tm_deque_at(t, ref->at, k - 1, TM_CELL_BYTES), *first = last - (size_t)(n - 1) * TM_CELL_BYTES;
    if (tm_changes_keep(t->log, first, n * TM_CELL_BYTES) != 0) return -1;
    memcpy(tm_deque_at(t, ref->at, k, TM_CELL_BYTES), last, TM_CELL_BYTES);
    memmove(first + TM_CELL_BYTES, first, (size_t)(n - 1) * TM_CELL_BYTES);
    k -= n;
  }
  memcpy(tm_deque_at(t, ref->at, i, TM_CELL_BYTES), cell, TM_CELL_BYTES);
  return 0;
}

static int replace(struct tm_table *t, const struct tm_state_ref *rows, uint32_t i, const void *cell) {
  void *slot = tm_deque_at(t, rows->at, i, TM_CELL_BYTES);
  if (tm_changes_keep(t->log, slot, TM_CELL_BYTES) != 0 || tm_cell_drop(t, TM_VALUE_STRING, slot) != 0) return -1;
  memcpy(slot, cell, TM_CELL_BYTES);
  return 0;
}

int32_t tm_ffi_versions_put(struct tm_state *s, void *record, int32_t field, double time, const char *row, int32_t len) {
  struct versions v = versions_of(s, record, field);
  struct tm_value value = {0, row, len, TM_VALUE_STRING};
  char cell[TM_CELL_BYTES];
  int32_t mark, code = tm_field_begin(v.t, record, field, &mark);
  if (code == 0 && tm_changes_keep(v.t->log, v.rows, sizeof *v.rows) != 0) code = TM_STATE_NO_MEMORY;
  if (code == 0) code = tm_cell_put(v.t, TM_VALUE_STRING, &value, cell);
  if (code != 0) return tm_field_end(v.t, mark, code);
  uint32_t i = upto(&v, time);
  int failed;
  if (i > 0 && time_at(&v, i - 1) == time) {
    failed = replace(v.t, v.rows, i - 1, cell);
  } else if (v.times->n >= TM_ELEMENTS_MAX) {
    return tm_field_end(v.t, mark, TM_STATE_TOO_LONG);
  } else {
    failed = insert(v.t, v.rows, i, cell) != 0 || insert(v.t, v.times, i, &time) != 0;
    code = TM_STATE_NEW;
  }
  return tm_field_end(v.t, mark, failed ? TM_STATE_NO_MEMORY : code);
}

int32_t tm_ffi_versions_get(struct tm_state *s, const void *record, int32_t field, double time, struct tm_value *out) {
  struct versions v = versions_of(s, record, field);
  uint32_t n = upto(&v, time);
  if (n == 0) return 0;
  row_at(&v, n - 1, out);
  out->num = time_at(&v, n - 1);
  return out->len > 0;
}

int32_t tm_ffi_versions_trim(struct tm_state *s, void *record, int32_t field, double before, int32_t most) {
  struct versions v = versions_of(s, record, field);
  int32_t mark = v.t->log->pub.used;
  uint32_t n = upto(&v, before), left = v.times->n;
  struct tm_value row;
  if (n > 0) row_at(&v, n - 1, &row);
  /* the last of these holds at `before`; where it says that there is none, nothing says so as well */
  if (n > 0 && row.len > 0) n--;
  if (n > (uint32_t)most) n = (uint32_t)most;
  if (n == 0) return (int32_t)left;
  /* nobody sees the difference, so the key does not count as written */
  int failed = tm_changes_keep(v.t->log, v.times, sizeof *v.times) != 0 || tm_changes_keep(v.t->log, v.rows, sizeof *v.rows) != 0;
  for (uint32_t i = 0; i < n && !failed; i++)
    failed = tm_cell_drop(v.t, TM_VALUE_STRING, tm_deque_at(v.t, v.rows->at, i, TM_CELL_BYTES)) != 0;
  if (!failed) failed = tm_deque_shift(v.t, &v.times->at, left, TM_CELL_BYTES, n) != 0;
  if (!failed) failed = tm_deque_shift(v.t, &v.rows->at, left, TM_CELL_BYTES, n) != 0;
  if (failed) return tm_field_end(v.t, mark, TM_STATE_NO_MEMORY);
  v.times->n = v.rows->n = left - n;
  return (int32_t)(left - n);
}

double tm_ffi_versions_over(struct tm_state *s, const void *record, int32_t field) {
  struct versions v = versions_of(s, record, field);
  struct tm_value row;
  if (v.times->n == 0) return __builtin_nan("");
  row_at(&v, 0, &row);
  if (row.len == 0) return time_at(&v, 0);
  return v.times->n > 1 ? time_at(&v, 1) : __builtin_nan("");
}

/* ---- as written values ---- */

/* bytes of a row become the value of a slot: no string is made of them */
static void slot_write(struct tm_view *v, struct tm_overlay *ov, int32_t slot, const char *text, int32_t len) {
  if (ov->gens[slot] != v->gen) {
    ov->gens[slot] = v->gen;
    ov->written[v->base + ++v->writes] = slot;
  }
  ov->slots[slot] = (struct tm_slot){.text = text, .len = len, .kind = TM_SLOT_TEXT};
  v->dirty = 1;
}

int32_t tm_ffi_text_slot(struct tm_state *s, const void *record, int32_t field, struct tm_view *v, struct tm_overlay *ov, int32_t slot) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field);
  if (ref->at == 0 || ref->n == 0) return 0;
  slot_write(v, ov, slot, tm_text_at(t, *ref), (int32_t)ref->n);
  return 1;
}

int32_t tm_ffi_versions_slot(struct tm_state *s, const void *record, int32_t field, double time, struct tm_view *v,
                             struct tm_overlay *ov, int32_t slot) {
  struct tm_value row;
  if (!tm_ffi_versions_get(s, record, field, time, &row)) return 0;
  slot_write(v, ov, slot, row.text, row.len);
  return 1;
}
