/* adopt.c - states that nobody knows any more, though they are there: in a run that goes on within its process; and one that takes the place
 * of another.
 *
 * What belongs to whoever used them - walks, and what `ahead` found out of batches - ends. They are found again as those are that were put
 * back from a data folder (resume.c). */
#include <string.h>

#include "../base/err.h"
#include "table.h"

void tm_ffi_states_orphan(struct tm_changes *c) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  for (struct tm_state *s = c->states; s != NULL; s = s->next) {
    struct tm_table *t = tm_table_of(s);
    while (t->cursors != NULL) tm_ffi_cursor_free(&t->cursors->pub);
    tm_ahead_free(t);
    if (s->adopted) log->orphans++;
    s->adopted = 0;
  }
}

const struct tm_state *tm_ffi_states_left(const struct tm_changes *c, const struct tm_state *behind) {
  const struct tm_state *s = behind != NULL ? behind->next : c->states;
  while (s != NULL && s->adopted) s = s->next;
  return s;
}

/* Keys count as written in the order in which they were in `old`; those that it did not have come first. */
static void order_take(struct tm_table *made, const struct tm_table *old) {
  for (uint32_t at = old->core.oldest; at != 0; at = tm_links_at(old, at)->next) {
    const struct tm_item *it = tm_item_at(old, at);
    struct tm_seek k = tm_seek_key(made->log, it->key, it->key_len);
    uint32_t same = tm_table_find(made, &k);
    if (same != 0) tm_table_newest(made, same);
  }
}

void tm_ffi_state_replace(struct tm_state *made, struct tm_state *old, const struct tm_state_options *o) {
  struct tm_table *t = tm_table_of(made);
  TM_ASSERT(t->log->pub.used == 0 && (uint32_t)o->fields_n == t->fields_n);
  if (t->links && tm_table_of(old)->links) order_take(t, tm_table_of(old));
  t->max_keys = (uint32_t)o->max_keys;
  t->on_full = o->on_full;
  if (o->fields_n > 0) {
    tm_arena_mark(t->fields, (size_t)o->fields_n * sizeof *t->fields);
    memcpy(t->fields, o->fields, (size_t)o->fields_n * sizeof *t->fields);
  }
  made->evicted += old->evicted;
  t->serial = tm_table_of(old)->serial;
  tm_ffi_state_free(old);
}
