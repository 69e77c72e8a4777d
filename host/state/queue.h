/* queue.h - events that wait until the watermark has passed them: a key and values each, in order of time, then of arrival.
 *
 *   put ──> staged ──(the event stands)──> calendar, or wheel for later ──(due)──> run of TM_QUEUE_RUN ──> first, taken, gone
 *
 *   next     4 bytes a node, apart: the next in its list, of those not in use too
 *   node     | hash, tag, len | key, up to 20 bytes | time | more | values ...    64 bytes with two values
 *
 * A line of memory an event, and none of its key's record: that is met once, when it is the event's turn. Which keys come next is
 * known then, as some are taken out at a time: their items are asked for before they are due, also in another table
 * that will be asked for the same keys.
 * The calendar has a list for each ms of two blocks of 4,096 ms, the one at hand and the next, with a bit for those that are not empty. What
 * is later lies in a wheel (due.h) whose ticks are blocks, and comes into the calendar, in the order in which it came to the wheel, when
 * its block is the next one; a slot is emptied in slices, and what is put meanwhile lines up behind. Time only goes forward, as
 * nothing comes that is before what was taken.
 * Undoing: the list of free nodes is also that of what was put since the last look, which ends where the free ones begin; so one number
 * is all that an event changes. The lists are touched while the log is empty, and taking is not undone. Texts lie with the node,
 * outside of the table, so nothing there needs to know of them. */
#ifndef TM_STATE_QUEUE_H
#define TM_STATE_QUEUE_H

#include "table.h"

enum { TM_QUEUE_KEY = 20, TM_QUEUE_RUN = 64, TM_QUEUE_SLICE = 512 };

struct tm_queued {
  uint32_t hash;
  int32_t tag;                    /* these three: struct tm_seek */
  uint32_t len;
  char key[TM_QUEUE_KEY];         /* if it is that short */
  double time;
  char *more;                     /* size, the key if it is longer, texts of values; NULL: none */
  uint64_t values[];              /* as cells of a series, but that a text's handle is its place in `more` */
};

/* Makes t->queue, for events of so many values: 0 or -1. One that was put back is taken as it is. */
int tm_queue_init(struct tm_table *t, int32_t values);
/* how many; -1: there is no queue */
int32_t tm_queue_values(const struct tm_table *t);
void tm_queue_free(struct tm_table *t);
/* One more event, with k hashed: 0 or a code. Rolled back with the event at work. */
int32_t tm_queue_put(struct tm_table *t, const struct tm_seek *k, double time, const struct tm_value *values);
/* The same where the log is empty: it stands at once. */
int32_t tm_queue_put_now(struct tm_table *t, const struct tm_seek *k, double time, const struct tm_value *values);
/* The event whose turn it is, if its time is not after `upto`; NULL: none, or not found yet (t->pub.code is MORE). The log is empty. */
struct tm_queued *tm_queue_first(struct tm_table *t, double upto);
/* It has had its turn: another one is the first behind it. It can be read until that is asked for. */
void tm_queue_take(struct tm_table *t);
/* Its bytes were put back. */
void tm_queue_resume(struct tm_table *t);
/* NULL: it has none */
void tm_queue_regions(const struct tm_table *t, const struct tm_region **nodes, const struct tm_region **nexts);
struct tm_seek tm_queued_key(const struct tm_queued *e);
void tm_queued_value(const struct tm_queued *e, int32_t i, struct tm_value *out);

#endif
