/* log_sink.h - a sink that appends to an event log (eventlog/writer.h).
 *
 * Rows come as JSON lines that end in a tab and their event time (tm_out.timed), or the tab alone: then the time is that of writing. A
 * write is one block of whole rows. How far a write that was cut off came is told by the log: the sequence it ends with. */
#ifndef TM_IO_LOG_SINK_H
#define TM_IO_LOG_SINK_H

#include "../eventlog/writer.h"
#include "sink.h"

/* What of it survives the worker. */
struct tm_log_sink_state {
  uint64_t next;             /* the sequence of the first row that was not taken */
  int32_t opened;            /* that is known */
  int32_t pad;
};

struct tm_log_sink;

/* state: shared memory. NULL: no memory. */
struct tm_log_sink *tm_log_sink_new(const struct tm_eventlog_options *options, struct tm_log_sink_state *state);
void tm_log_sink_free(struct tm_log_sink *l);
int tm_log_sink_open(struct tm_sink *s, struct tm_err *err);
/* Its writer goes, and what it holds; opened again, it goes on there. */
void tm_log_sink_close(struct tm_sink *s);
int tm_log_sink_is_open(const struct tm_sink *s);
/* After a death: which of data[sent, len) are in the log. */
void tm_log_sink_resume(struct tm_sink *s, const char *data, int32_t len);
/* As tm_sink_write. */
int tm_log_sink_write(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err);
/* There is something to do though all rows were taken: its end is to be synced. */
int tm_log_sink_busy(const struct tm_sink *s);

/* For whoever makes a run durable. How far the log is now. */
void tm_log_sink_mark(const struct tm_sink *s, struct tm_log_mark *mark);
/* All rows that were taken before the call are on the disk: 0, -1 err, and then never again. From any thread, while others write. */
int tm_log_sink_sync(struct tm_sink *s, struct tm_err *err);
/* Records below that sequence stay, whatever happens: readers of other processes are given them, and of a run that is kept no others
 * (eventlog/durable.h). 0, -1 err. */
int tm_log_sink_durable(struct tm_sink *s, uint64_t sequence, struct tm_err *err);
/* It has rows that such readers still wait for. */
int tm_log_sink_waits(const struct tm_sink *s);
/* Records behind the mark go. When it is open, and before it takes rows: 0, -1 err. */
int tm_log_sink_truncate(struct tm_sink *s, const struct tm_log_mark *mark, struct tm_err *err);

#endif
