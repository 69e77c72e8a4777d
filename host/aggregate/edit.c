/* edit.c - changing a text of a record in its place. */
#include "edit.h"

#include "../base/err.h"

int tm_edit_begin(struct tm_edit *e, struct tm_state *s, void *record, int32_t field) {
  struct tm_table *t = tm_table_of(s);
  *e = (struct tm_edit){.t = t, .ref = tm_field_ref(t, record, field)};
  e->code = tm_field_begin(t, record, field, &e->mark);
  TM_ASSERT(t->fields[field].kind == TM_FIELD_TEXT);
  if (e->code != 0) return -1;
  e->len = e->ref->n;
  if (e->len > 0) e->p = tm_heap_at(&t->core.heap, e->ref->at);
  return 0;
}

static int no_memory(struct tm_edit *e) {
  e->code = TM_STATE_NO_MEMORY;
  return -1;
}

int tm_edit_resize(struct tm_edit *e, uint32_t size, uint32_t copied) {
  uint32_t at = 0;
  char *p = NULL;
  if (size > TM_TEXT_MAX) {
    e->code = TM_STATE_TOO_LONG;
    return -1;
  }
  if (size > 0) {
    at = tm_value_alloc(e->t, size);
    if (at == 0) return no_memory(e);
    p = tm_heap_at(&e->t->core.heap, at);
    if (copied > 0) memcpy(p, e->p, copied);
    memset(p + copied, 0, size - copied);
  }
  if (e->len > 0 && tm_value_release(e->t, e->ref->at) != 0) return no_memory(e);
  *e->ref = (struct tm_state_ref){at, size};
  e->p = p;
  e->len = size;
  return 0;
}

int tm_edit_keep(struct tm_edit *e, const void *p, uint32_t len) {
  return len > 0 && tm_changes_keep(e->t->log, p, len) != 0 ? no_memory(e) : 0;
}

int32_t tm_edit_end(struct tm_edit *e) { return tm_field_end(e->t, e->mark, e->code); }

const char *tm_edit_text(struct tm_state *s, const void *record, int32_t field, uint32_t *len) {
  const struct tm_table *t = tm_table_of(s);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field);
  TM_ASSERT(field >= 0 && (uint32_t)field < t->fields_n && t->fields[field].kind == TM_FIELD_TEXT);
  *len = ref->n;
  return ref->n > 0 ? tm_heap_at(&t->core.heap, ref->at) : NULL;
}
