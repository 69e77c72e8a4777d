/* log_source.h - a source that reads an event log (eventlog/reader.h), once or for ever.
 *
 * A record is a line; the number of a line is the record's sequence. Where records are left out (of other times, or deleted before they
 * were read) a batch ends, so that each keeps its number. The position is the sequence of the next record that is not in the source's
 * buffer, in shared memory; the buffer is too, so a new worker goes on there. */
#ifndef TM_IO_LOG_SOURCE_H
#define TM_IO_LOG_SOURCE_H

#include "source.h"

enum tm_log_from { TM_LOG_FROM_START, TM_LOG_FROM_END, TM_LOG_FROM_SEQUENCE, TM_LOG_FROM_TIME };
enum tm_log_until { TM_LOG_UNTIL_END, TM_LOG_UNTIL_SEQUENCE, TM_LOG_UNTIL_TIME };

/* What of a log is read, and how. Ends are included. */
struct tm_log_source_how {
  int follow;                /* on, as it is written; else up to where it ended when the run began */
  enum tm_log_from from;
  enum tm_log_until until;
  double from_at, until_at;  /* a sequence, or ms */
  double speed;              /* as fast as the records' times, times this; 0: as fast as it goes */
};

/* What of it survives the worker. */
struct tm_log_source_state {
  uint64_t next;             /* the next record; 0 the oldest */
  uint64_t begin;            /* where it began, when that was known */
  uint64_t end;              /* the first record that is not read; 0 there is none */
  int64_t first_ms;          /* with a speed: time of the first record, and the clock when it was given */
  uint64_t first_ns;
  int32_t opened;
  int32_t paced;             /* those are known */
};

/* Where a source is, for whoever makes a run durable: the first record that is in no batch. */
struct tm_log_position {
  uint64_t sequence;         /* 0: the oldest */
  uint64_t end;              /* as in the state */
};

struct tm_log_source;

/* NULL: no memory. */
struct tm_log_source *tm_log_source_new(const struct tm_io *io, const char *folder, const struct tm_log_source_how *how,
                                        struct tm_log_source_state *state);
void tm_log_source_free(struct tm_log_source *l);
int tm_log_source_open(struct tm_source *s, struct tm_err *err);
/* As tm_source_fill. */
int64_t tm_log_source_fill(struct tm_source *s, struct tm_err *err);
/* Readable when something happens to the log; -1 nothing tells. */
int tm_log_source_fd(const struct tm_log_source *l);
/* The clock at which it wants to be asked in any case; 0 never. */
uint64_t tm_log_source_due(const struct tm_source *s);
/* How much of what there was at the beginning is read, 0 to 1. */
double tm_log_source_progress(const struct tm_source *s);

/* Between two batches. */
void tm_log_source_position(const struct tm_source *s, struct tm_log_position *position);
/* Goes on there; what was read is forgotten. When it is open: 0, -1 err. */
int tm_log_source_seek(struct tm_source *s, const struct tm_log_position *position, struct tm_err *err);

#endif
