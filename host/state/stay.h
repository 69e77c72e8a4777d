/* stay.h - events that had their turn, of all keys in one row, until a window of one size has moved on.
 *
 *   chunk    | entry | entry | ... |  ->  | entry | ... |  ->  | entry | room |
 *              first                                             last
 *   entry    | hash, number | cell | cell ...       cell 0: the time; cells of numbers alone (series.h)
 *
 * Turns come in order of time, so windows of one size move over all keys in the same order: what leaves is always the first. So an entry
 * needs no more than its cells and which record it is part of: the hash finds that in the index, wherever it lies by
 * now, and a number that no other record has tells it from one that came later. Which records are next is known long before: their lines
 * are asked for. Nothing here is undone: an entry comes when its turn stands. */
#ifndef TM_STATE_STAY_H
#define TM_STATE_STAY_H

#include "table.h"

struct tm_stayed {
  uint32_t hash;
  uint32_t number;
  uint64_t cells[];
};

/* Makes t->stay, for entries of so many cells, in windows of so many ms. place: where the record has its number, a double. 0 or -1. What was
 * put back is taken as it is. */
int tm_stay_init(struct tm_table *t, int32_t cells, double size, int32_t place);
/* Is what there is, if there is something, for those? */
int tm_stay_fits(const struct tm_table *t, int32_t cells, double size, int32_t place);
void tm_stay_free(struct tm_table *t);
/* The number of the next record. */
uint32_t tm_stay_number(struct tm_table *t);
/* Where the next entry is to be written, which is the last one with tm_stay_add; NULL: no memory. */
struct tm_stayed *tm_stay_room(struct tm_table *t);
void tm_stay_add(struct tm_table *t);
/* The first entry, if the window behind an event at time `now` does not hold it; NULL: there is none. */
const struct tm_stayed *tm_stay_leaving(const struct tm_table *t, double now);
/* the item of its record; 0: that is gone */
uint32_t tm_stay_item(const struct tm_table *t, const struct tm_stayed *e);
/* the first entry goes */
void tm_stay_drop(struct tm_table *t);

#endif
