/* writer.h - appends to an event log: one process at a time, which the file `lock` in its folder sees to.
 *
 * Records are appended in blocks; each append is one block, written at a place that is known, so that one that was refused or cut off is
 * written again there. A segment that is full is synced, and the next one begun; the keeper (keeper.h) compresses it and deletes old
 * ones. What is at hand is synced by the keeper every second, or when somebody asks. A failed sync is final: nothing is appended any more. */
#ifndef TM_EVENTLOG_WRITER_H
#define TM_EVENTLOG_WRITER_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_EVENTLOG_SEGMENT_MIN = 4096, TM_EVENTLOG_SEGMENT = 64 << 20, TM_EVENTLOG_SEGMENT_MAX = 1 << 30 };

struct tm_eventlog_options {
  int64_t segment_bytes;     /* a segment is full when a block would make it longer; 0: 64 MiB */
  int64_t retain_ms;         /* sealed segments go so long after they were sealed; 0 never */
  int64_t retain_bytes;      /* the oldest go while all together are larger; 0 never */
};

/* How far a log is. `segment` and `offset` say where that is; the sequence alone decides. */
struct tm_log_mark {
  uint64_t segment;
  int64_t offset;
  uint64_t sequence;         /* of the record that comes next */
};

struct tm_eventlog_writer;

/* Makes the folder and those above it, locks it, and finds the end: what a write that was cut off left is removed. NULL and err. */
struct tm_eventlog_writer *tm_eventlog_writer_open(const struct tm_io *io, const char *folder, const struct tm_eventlog_options *options,
                                                   struct tm_err *err);
/* finish: sealed segments are compressed first, and all is synced. 0, or -1 err; the writer is gone in any case. */
int tm_eventlog_writer_close(struct tm_eventlog_writer *w, int finish, struct tm_err *err);
/* Appends records whose texts, each with its LF, lie end to end; ends[i]: where that of record i ends. 1, 0 refused for now (*refused is
 * the errno), -1 err. */
int tm_eventlog_writer_append(struct tm_eventlog_writer *w, const char *text, const int32_t *ends, const int64_t *times, int32_t count,
                              int *refused, struct tm_err *err);
/* All that was appended before the call is on the disk: 0, -1 err. From any thread. */
int tm_eventlog_writer_sync(struct tm_eventlog_writer *w, struct tm_err *err);
void tm_eventlog_writer_mark(const struct tm_eventlog_writer *w, struct tm_log_mark *mark);
/* Removes the records from mark->sequence on. Before anything is appended. 0, -1 err, also when the log ends before the mark. */
int tm_eventlog_writer_truncate(struct tm_eventlog_writer *w, const struct tm_log_mark *mark, struct tm_err *err);
/* The size of a block of these records, as it is appended. */
static inline int64_t tm_eventlog_block_size(int32_t text_len, int32_t count) { return 64 + 12 * (int64_t)count + text_len; }

#endif
