/* series_cells.c - entries of a series cell by cell, for what is written out of a state and read back. Whoever owns a series changes it
 * otherwise, and never asks here. */
#include "series.h"

int32_t tm_ffi_series_get(struct tm_state *s, void *record, int32_t field, int32_t i, int32_t cell, struct tm_value *out) {
  struct tm_table *t = tm_table_of(s);
  struct tm_series x = tm_series_of(t, record, field);
  if (i < 0 || (uint32_t)i >= x.ref->n || cell < 0 || (uint32_t)cell >= x.size / TM_CELL_BYTES) return TM_STATE_RANGE;
  tm_tagged_get(t, tm_series_at(&x, (uint32_t)i)[cell], out);
  return 0;
}

int32_t tm_ffi_series_push(struct tm_state *s, void *record, int32_t field, const struct tm_value *cells) {
  struct tm_table *t = tm_table_of(s);
  struct tm_series x = tm_series_of(t, record, field);
  int32_t mark = t->log->pub.used, code = 0;
  const struct tm_state_ref before = *x.ref;  /* lies in the record, which was kept when it was announced */
  uint64_t *e = tm_series_insert(&x, x.ref->n);
  if (e == NULL) code = TM_STATE_NO_MEMORY;
  for (uint32_t c = 0; code == 0 && c < x.size / TM_CELL_BYTES; c++) {
    e[c] = 0;
    code = tm_tagged_put(t, cells + c, e + c);
  }
  if (code == 0) return 0;
  tm_changes_undo(t->log, mark);
  *x.ref = before;
  return code;
}
