/* value.h - what hangs off a record's fields: texts, and the elements of lists, maps and sets as cells of 8 bytes.
 *
 *   number   a double            boolean  0 or 1              string, any  struct tm_state_ref to its bytes
 *
 * All memory for it comes from tm_value_alloc and goes by tm_value_release, which tell the log; all bytes that may be
 * wanted back are kept before they change. So nothing here has an undo of its own.
 *
 * A *visit* goes over all parts (blocks of the heap) that a field holds, in slices, either to free them or to move them
 * out of sparse blocks. It is done between events only, and the log hears nothing of it. */
#ifndef TM_STATE_VALUE_H
#define TM_STATE_VALUE_H

#include "table.h"

enum { TM_CELL_BYTES = 8 };

/* Memory of t, freed if the event is rolled back: 0 if there is none. */
uint32_t tm_value_alloc(struct tm_table *t, uint32_t size);
/* The same of which little is written at once: what is, is marked by who writes it. */
uint32_t tm_value_reserve(struct tm_table *t, uint32_t size);
/* `at` is freed at the commit: 0 or -1. */
int tm_value_release(struct tm_table *t, uint32_t at);
/* The same for all of ref (of field `field`, an index | TM_RUIN_BARE), in slices. */
int tm_value_ruin(struct tm_table *t, uint32_t field, struct tm_state_ref ref);

/* A change to a field begins: the key counts as written, the reference is kept. 0, or a code with which to end it.
 * What was logged since *mark is undone by that. */
int32_t tm_field_begin(struct tm_table *t, void *record, int32_t field, int32_t *mark);
/* Ends it: code, or after a failure everything as it was at mark. */
int32_t tm_field_end(struct tm_table *t, int32_t mark, int32_t code);
static inline struct tm_state_ref *tm_field_ref(const struct tm_table *t, const void *record, int32_t field) {
  return (struct tm_state_ref *)((uintptr_t)record + (uintptr_t)t->fields[field].off);
}

static inline int tm_text_kind(int32_t of) { return of == TM_VALUE_STRING || of == TM_VALUE_ANY; }
/* A value as a cell of type `of`: 0 or a code. */
int32_t tm_cell_put(struct tm_table *t, int32_t of, const struct tm_value *v, void *cell);
/* gives up what a cell refers to: 0 or -1 */
int tm_cell_drop(struct tm_table *t, int32_t of, const void *cell);
void tm_cell_get(const struct tm_table *t, int32_t of, const void *cell, struct tm_value *out);
/* A text's bytes, wherever they lie. */
const char *tm_text_at(const struct tm_table *t, struct tm_state_ref ref);

struct tm_visit {
  struct tm_table *t;
  int32_t freeing;        /* 1: free the parts, 0: move them out of marked blocks */
  int32_t bare;           /* 1: texts are left alone */
  int32_t steps;          /* about so many elements more */
  uint32_t pos;           /* where the visit of this field goes on; 0: begin */
};
/* 1 when all parts were visited (pos is 0 again), 0 when steps ran out. */
int tm_visit_field(struct tm_visit *v, const struct tm_state_field *f, struct tm_state_ref *ref);
void tm_visit_part(struct tm_visit *v, uint32_t *at);
/* the parts of n cells that lie `stride` apart; `of` < 0: holds no texts */
void tm_visit_cells(struct tm_visit *v, void *cells, uint32_t n, uint32_t stride, int32_t of);
/* series.c: the parts of n tagged cells in a row */
void tm_visit_tagged(struct tm_visit *v, void *cells, uint32_t n);
/* map.c */
int tm_visit_map(struct tm_visit *v, const struct tm_state_field *f, struct tm_state_ref *ref);

#endif
