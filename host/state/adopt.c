/* adopt.c - states that another process, or a run before, left: found again by who makes them anew.
 *
 * An orphan is a state that nobody has asked for yet. Who makes a state gets the orphan of the same name and layout that was made first;
 * who knows where it lay asks for it by its address. What belongs to a process - walks, and what `ahead` found out of batches - ends when
 * a state becomes an orphan; what a script may have changed of its bounds holds from the adoption on. */
#include "table.h"

void tm_ffi_states_orphan(struct tm_changes *c) {
  for (struct tm_state *s = c->states; s != NULL; s = s->next) {
    struct tm_table *t = tm_table_of(s);
    while (t->cursors != NULL) tm_ffi_cursor_free(&t->cursors->pub);
    tm_ahead_free(t);
    t->orphan = 1;
  }
}

const struct tm_state *tm_ffi_states_left(const struct tm_changes *c, const struct tm_state *behind) {
  struct tm_state *s = behind != NULL ? behind->next : c->states;
  while (s != NULL && !tm_table_of(s)->orphan) s = s->next;
  return s;
}

struct tm_state *tm_ffi_state_adopt(struct tm_changes *c, const void *at) {
  for (struct tm_state *s = c->states; s != NULL; s = s->next) {
    if (s != at) continue;
    if (!tm_table_of(s)->orphan) return NULL;
    tm_table_of(s)->orphan = 0;
    return s;
  }
  return NULL;
}

/* Would the records and what hangs off them be the same? */
static int same_layout(const struct tm_table *t, const struct tm_state_options *o) {
  uint32_t links = o->max_keys > 0 && o->on_full == TM_ON_FULL_OLDEST;
  if (t->record_size != (((uint32_t)o->record_size + 7) & ~7u) || t->fields_n != (uint32_t)o->fields_n) return 0;
  if (t->timed != (o->timed != 0) || t->links != links || (t->prefix != 0) != (o->sections != 0)) return 0;
  for (uint32_t i = 0; i < t->fields_n; i++) {
    const struct tm_state_field *a = t->fields + i, *b = o->fields + i;
    if (a->off != b->off || a->kind != b->kind || a->key != b->key || a->of != b->of) return 0;
    if (a->kind == TM_FIELD_SERIES && a->max != b->max) return 0;
  }
  return 1;
}

struct tm_state *tm_table_adopt(struct tm_changes *c, const struct tm_state_options *o) {
  struct tm_table *found = NULL;
  for (struct tm_state *s = c->states; s != NULL; s = s->next) {
    struct tm_table *t = tm_table_of(s);
    /* the last in the list was made first */
    if (t->orphan && s->name_len == o->name_len && memcmp(s->name, o->name, (size_t)o->name_len) == 0 && same_layout(t, o)) found = t;
  }
  if (found == NULL) return NULL;
  found->orphan = 0;
  found->max_keys = (uint32_t)o->max_keys;
  found->on_full = o->on_full;
  if (o->fields_n > 0) memcpy(found->fields, o->fields, (size_t)o->fields_n * sizeof *found->fields);
  return &found->pub;
}
