/* compare_sink.h - a sink that compares its rows with the records of an event log, byte by byte; the first that differs is an error with
 * exit code 4. How far it is lies in shared memory, so that a new worker goes on there. */
#ifndef TM_IO_COMPARE_SINK_H
#define TM_IO_COMPARE_SINK_H

#include <stdint.h>

#include "sink.h"

/* What of it survives the worker. */
struct tm_compare_state {
  uint64_t next;             /* the record that the next row must be; 0 the oldest */
  uint64_t rows;             /* that were equal */
};

struct tm_compare_sink;

/* part: the log may have more records than there are rows. state: shared memory. NULL: no memory. */
struct tm_compare_sink *tm_compare_sink_new(const struct tm_io *io, const char *folder, int part, struct tm_compare_state *state);
int tm_compare_sink_open(struct tm_sink *s, struct tm_err *err);
/* As tm_sink_write. */
int tm_compare_sink_write(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err);
int tm_compare_sink_busy(const struct tm_sink *s);

#endif
