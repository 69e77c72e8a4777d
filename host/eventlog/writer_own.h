/* writer_own.h - what files of this folder may ask of a writer (writer.h) besides. */
#ifndef TM_EVENTLOG_WRITER_OWN_H
#define TM_EVENTLOG_WRITER_OWN_H

#include "writer.h"

const struct tm_io *tm_eventlog_writer_io(const struct tm_eventlog_writer *w);
const char *tm_eventlog_writer_folder(const struct tm_eventlog_writer *w);
/* Looks for the end again, as its files have changed; `next`: of a log without segments the next record's sequence. */
int tm_eventlog_writer_find_end(struct tm_eventlog_writer *w, uint64_t next, struct tm_err *err);

#endif
