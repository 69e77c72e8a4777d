/* adopt.c - states that nobody knows any more, though they are there: in a run that goes on within its process.
 *
 * What belongs to whoever used them - walks, and what `ahead` found out of batches - ends. They are found again as those are that were put
 * back from a data folder (resume.c). */
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
