/* first.h - the record with which an event log begins: a mark in its folder (mark.h), written before retention removes what lies ahead of it.
 *
 * So a first segment that somebody has removed is told from one that retention has. A log without the mark, or with one that is
 * damaged, is of a version before it, or was copied in part: nothing is known then, and its writer makes the mark by what it finds. */
#ifndef TM_EVENTLOG_FIRST_H
#define TM_EVENTLOG_FIRST_H

#include "../base/err.h"
#include "../base/io.h"
#include "folder.h"

/* Records before this one are about to go: 0, or -1 err. */
int tm_eventlog_first_move(const struct tm_io *io, const char *folder, uint64_t first, struct tm_err *err);
/* Does a log with these segments begin where it should? 0, or -1 err: which records are missing, and what to do. */
int tm_eventlog_first_check(const struct tm_io *io, const char *folder, const struct tm_eventlog_list *list, struct tm_err *err);
/* The same for who writes it, with `next` as its next record: the mark is made where there is none. A disk without room is no error. */
int tm_eventlog_first_open(const struct tm_io *io, const char *folder, uint64_t next, struct tm_err *err);

#endif
