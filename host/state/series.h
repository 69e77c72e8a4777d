/* series.h - entries of equal size in order, in a record's field: tm_state_ref.n is how many there are.
 *
 *   entry    | cell | cell | ...      8 bytes each, a power of two of them
 *   cell     a double, or a tagged one: a NaN that no computation gives, whose upper 16 bits say what it is
 *
 *   | tag, 16 bits | 0 | handle, 32 bits |  ->  | length, 4 bytes | the text's bytes |
 *
 *   record   ... | at, n | entry | entry | ...      few entries lie behind the reference, as many as the field's `max`: at is INLINE
 *                | at, n |  ->  a deque             more do not
 *
 * Most keys have few, which then cost no memory of their own and no wait for it. One cell is a value of any type: a text's length
 * lies with its bytes, and each text belongs to one cell. The record must be announced, as what lies in it is not logged here; all else
 * is. A call that fails leaves entries of the log for the caller to undo. What entries mean is their owner's. */
#ifndef TM_STATE_SERIES_H
#define TM_STATE_SERIES_H

#include "deque.h"

enum tm_tag { TM_TAG_NIL = 0xfff9, TM_TAG_TEXT = 0xfffa, TM_TAG_JSON = 0xfffb, TM_TAG_FALSE = 0xfffc, TM_TAG_TRUE = 0xfffd };

#define TM_SERIES_INLINE 0xfffffffeu

union tm_tagged { double num; uint64_t bits; };

static inline int tm_tag_of(uint64_t cell) { return (int)(cell >> 48); }
static inline int tm_tag_is_number(uint64_t cell) { return tm_tag_of(cell) < TM_TAG_NIL || tm_tag_of(cell) > TM_TAG_TRUE; }
static inline int tm_tag_has_text(uint64_t cell) { return tm_tag_of(cell) == TM_TAG_TEXT || tm_tag_of(cell) == TM_TAG_JSON; }

/* A value as a cell; STRING and ANY (a JSON text) are copied: 0 or a code. */
int32_t tm_tagged_put(struct tm_table *t, const struct tm_value *v, uint64_t *cell);
/* the same cell again, with a text of its own */
int32_t tm_tagged_copy(struct tm_table *t, uint64_t from, uint64_t *cell);
/* texts lie in the state, and stay readable until the commit */
void tm_tagged_get(const struct tm_table *t, uint64_t cell, struct tm_value *out);

/* A field of a record at work. */
struct tm_series {
  struct tm_table *t;
  struct tm_state_ref *ref;
  uint32_t size;                  /* of an entry, bytes */
  uint32_t room;                  /* entries that lie in the record */
};

static inline struct tm_series tm_series_of(struct tm_table *t, void *record, int32_t field) {
  const struct tm_state_field *f = t->fields + field;
  return (struct tm_series){t, tm_field_ref(t, record, field), (uint32_t)f->of * TM_CELL_BYTES, (uint32_t)f->max};
}
static inline uint64_t *tm_series_at(const struct tm_series *x, uint32_t i) {
  if (x->ref->at == TM_SERIES_INLINE) return (uint64_t *)(void *)((char *)(x->ref + 1) + (size_t)i * x->size);
  return tm_deque_at(x->t, x->ref->at, i, x->size);
}
/* One more entry before place i, those behind it moved up: its cells, kept and anything; NULL: no memory. Costs what is moved. */
uint64_t *tm_series_insert(const struct tm_series *x, uint32_t i);
/* The first n entries go, or the last one, with their texts: 0 or -1. */
int tm_series_cut(const struct tm_series *x, uint32_t n);
int tm_series_pop(const struct tm_series *x);
/* see value.h */
int tm_series_visit(struct tm_visit *v, const struct tm_state_field *f, struct tm_state_ref *ref);

#endif
