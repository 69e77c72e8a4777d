/* mark.h - a number in a small file of a log's folder, checked: what durable.c and first.c write.
 *
 *   0 magic, 8 bytes   8 sequence u64   16 zeros   28 CRC of the 28 bytes before u32 */
#ifndef TM_EVENTLOG_MARK_H
#define TM_EVENTLOG_MARK_H

#include <stdint.h>

#include "../base/io.h"

enum { TM_EVENTLOG_MARK = 32 };      /* bytes of it */

/* Which file, and how it begins. */
struct tm_eventlog_mark_kind {
  const char *name, *temporary;
  char magic[8];
};

/* Makes it whole, under its name: its descriptor, the caller's, or a negative errno. */
int tm_eventlog_mark_make(const struct tm_io *io, const char *folder, const struct tm_eventlog_mark_kind *kind, uint64_t sequence);
/* Another number, in place: 0 or a negative errno. */
int tm_eventlog_mark_put(const struct tm_io *io, int fd, const struct tm_eventlog_mark_kind *kind, uint64_t sequence);
/* 1 it is whole, 0 it is not, or a negative errno; -ENOENT there is none. */
int tm_eventlog_mark_read(const struct tm_io *io, const char *folder, const struct tm_eventlog_mark_kind *kind, uint64_t *sequence);

#endif
