/* keeper.h - the helper thread of an event log that is written: syncs what is at hand every second, compresses sealed segments, and deletes
 * those that retention gives up.
 *
 * Its list of things to do is the folder itself: all segments but the last are sealed. It runs at the lowest priority with every signal
 * blocked. A packed segment gets its name when it is whole and on the disk; it is read once more before the plain one goes. */
#ifndef TM_EVENTLOG_KEEPER_H
#define TM_EVENTLOG_KEEPER_H

#include "writer.h"

struct tm_eventlog_keeper;

/* folder and w are borrowed. NULL: no thread can be made. */
struct tm_eventlog_keeper *tm_eventlog_keeper_start(const struct tm_io *io, const char *folder, const struct tm_eventlog_options *options,
                                                    struct tm_eventlog_writer *w);
/* A segment was sealed. */
void tm_eventlog_keeper_wake(struct tm_eventlog_keeper *k);
/* Ends the thread; finish: when all that is sealed has been seen to. */
void tm_eventlog_keeper_stop(struct tm_eventlog_keeper *k, int finish);
/* Writes FOLDER/FIRST.packed from FIRST.events, whose last record is before `end`: 0 done, 1 stopped (*stop), -1 err. */
int tm_eventlog_pack(const struct tm_io *io, const char *folder, uint64_t first, uint64_t end, const volatile int *stop, struct tm_err *err);
/* Deletes what the options give up: how many segments, -1 err. */
int tm_eventlog_retain(const struct tm_io *io, const char *folder, const struct tm_eventlog_options *options, struct tm_err *err);

#endif
