/* reader.h - reads an event log: from its start, a sequence number or a time, while it is written, rotated and compressed, from any process.
 *
 * A reader goes by names: at the end of a segment it looks for the one that begins with the next sequence number. What is not wholly
 * there yet, at the end of the last segment, counts as not written. Anything else that does not fit is damage, told with its
 * file and place; nothing behind it is read. Records that retention deleted before they were read are counted as lost.
 * Memory: the largest block, and 256 KiB. One thread. */
#ifndef TM_EVENTLOG_READER_H
#define TM_EVENTLOG_READER_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"
#include "format.h"

struct tm_eventlog_reader;

/* The folder need not be there yet. NULL: no memory. */
struct tm_eventlog_reader *tm_eventlog_reader_new(const struct tm_io *io, const char *folder);
void tm_eventlog_reader_free(struct tm_eventlog_reader *r);
/* The next record is the one with this number; 0: the oldest there is. */
void tm_eventlog_reader_seek(struct tm_eventlog_reader *r, uint64_t sequence);
/* Blocks without a record of these times (both included) are passed over, by what their heads and indexes say. */
void tm_eventlog_reader_times(struct tm_eventlog_reader *r, int64_t min, int64_t max);
/* From here on only what its writer has made durable is given (durable.h): for whoever goes on by what it read. */
void tm_eventlog_reader_durable(struct tm_eventlog_reader *r);
/* The rest of the next block, at most: 1, rows are valid until the next call; 0 there is nothing more now, -1 err (exit code 1). */
int tm_eventlog_reader_next(struct tm_eventlog_reader *r, struct tm_eventlog_rows *rows, struct tm_err *err);
/* The record that the next call would look at first; 0: the oldest. */
uint64_t tm_eventlog_reader_at(const struct tm_eventlog_reader *r);
/* Records that were deleted before they could be read, since the last call of this. */
uint64_t tm_eventlog_reader_lost(struct tm_eventlog_reader *r);
/* Where the block begins that comes next: its segment, and the byte in it. */
void tm_eventlog_reader_place(const struct tm_eventlog_reader *r, uint64_t *segment, int64_t *offset);

struct tm_eventlog_extent {
  uint64_t first, end;                 /* of the oldest record, and behind the newest; equal: it is empty */
  uint64_t durable;                    /* behind the newest that readers of other processes are given: at most `end` */
  int64_t bytes;                       /* of all segments on the disk */
  int32_t segments, packed;
  int64_t first_ms, last_made_ms;      /* time of the first record; when the newest segment was made */
};
/* How far a log goes: 0, 1 there is no such log, -1 err. */
int tm_eventlog_extent_read(const struct tm_io *io, const char *folder, struct tm_eventlog_extent *extent, struct tm_err *err);

#endif
