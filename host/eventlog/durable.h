/* durable.h - how far an event log is certain to stay as it is: a mark in its folder, for readers of other processes.
 *
 * A run that is kept (--data) cuts its logs back to its last durable epoch after a kill. So whoever else reads such a log is given only
 * what an epoch covers that is durable: the mark says up to where that is. The run writes it behind each epoch, in one piece
 * and without a sync: an older mark, which is what a loss of power may leave, is as true as the newest. A log without a mark
 * is read to its end.
 *
 * FOLDER/durable is a mark (mark.h) that begins with "TMEVDUR\n": records below its number stay. */
#ifndef TM_EVENTLOG_DURABLE_H
#define TM_EVENTLOG_DURABLE_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

/* Makes the mark, whole and under its name before anything is appended behind it: its descriptor, the caller's; -1 err. */
int tm_eventlog_durable_make(const struct tm_io *io, const char *folder, uint64_t sequence, struct tm_err *err);
/* Moves it: 0, or a negative errno; the old one holds then. */
int tm_eventlog_durable_put(const struct tm_io *io, int fd, uint64_t sequence);
/* Where there is a mark that is older, it becomes this one: 0, or -1 err. Of a log that nobody writes. */
int tm_eventlog_durable_raise(const struct tm_io *io, const char *folder, uint64_t sequence, struct tm_err *err);
/* The run that writes is not kept: all that is there counts from now on. 0, or -1 err. */
int tm_eventlog_durable_remove(const struct tm_io *io, const char *folder, struct tm_err *err);
/* *sequence: behind what may be read; UINT64_MAX where there is no mark. 0, or -1 err: it cannot be read, or is damaged. */
int tm_eventlog_durable_read(const struct tm_io *io, const char *folder, uint64_t *sequence, struct tm_err *err);

#endif
