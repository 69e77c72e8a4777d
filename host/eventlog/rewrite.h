/* rewrite.h - a segment written anew: packed, or as far as its records are kept (format.h). */
#ifndef TM_EVENTLOG_REWRITE_H
#define TM_EVENTLOG_REWRITE_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

/* Writes the records of segment `first` that are before `end` to FIRST.tmp, packed or not, syncs it, renames it to FIRST.packed or
 * FIRST.events, syncs the folder, reads it again, and deletes the other form: 0, 1 *stop was set, -1 err. stop may be NULL. */
int tm_eventlog_rewrite(const struct tm_io *io, const char *folder, uint64_t first, uint64_t end, int packed, const volatile int *stop,
                        struct tm_err *err);

#endif
