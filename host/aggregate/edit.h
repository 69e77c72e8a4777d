/* edit.h - changing a text of a record in its place: what aggregates keep is one text each.
 *
 * An edit announces the change, so that a failing event is taken back: bytes about to change are kept in the log of
 * changes (tm_edit_keep), a text that must grow is another one that begins with the old one's bytes. Bytes behind what the
 * owner's header says is used need not be kept, as the header tells after a roll-back that nothing is there. */
#ifndef TM_AGGREGATE_EDIT_H
#define TM_AGGREGATE_EDIT_H

#include "../state/value.h"

struct tm_edit {
  struct tm_table *t;
  struct tm_state_ref *ref;
  char *p;                /* the text's bytes, aligned to 8; any where len is 0 */
  uint32_t len;
  int32_t mark;
  int32_t code;           /* why it failed */
};

/* The text of a record's field, about to change: 0, or -1 (then only tm_edit_end). */
int tm_edit_begin(struct tm_edit *e, struct tm_state *s, void *record, int32_t field);
/* A text of `size` bytes (0: none) in its place: the first `copied` ones are the old one's, the others zero. The old bytes
 * stay readable until the event ends. 0 or -1. */
int tm_edit_resize(struct tm_edit *e, uint32_t size, uint32_t copied);
/* len bytes at p, within the text, are about to change: 0 or -1. */
int tm_edit_keep(struct tm_edit *e, const void *p, uint32_t len);
/* Ends it: OK, or a negative code with everything as it was. */
int32_t tm_edit_end(struct tm_edit *e);

/* The text of another record, only to be read; its length in *len, 0: there is none. */
const char *tm_edit_text(struct tm_state *s, const void *record, int32_t field, uint32_t *len);

#endif
