/* witness.h - the file 'durable' of a data folder: an epoch that was durable, told beside the journal.
 *
 * A journal that was not closed cannot tell that its last segments were taken away, cut off between two frames or put back from an
 * older copy: what is left is whole. So behind each sync the epoch that it made durable is written here, in one place, without a
 * sync of its own: a loss of power leaves an older epoch, which is as true. A journal that ends before it has lost something.
 *
 *   magic "tmJwitn\n" | u64 id of the folder | u64 epoch | u64 number of its inode | zeroes | u32 CRC32C of bytes 0-59
 *   64 bytes, little-endian
 *
 * In a copy of the folder the file has another inode and tells nothing: a folder that is copied while a run writes to it may have
 * a journal that was read earlier, whose end is not lost.
 *
 * Who runs it: the writing side of the journal; whoever reads a journal asks it first. */
#ifndef TM_DURABLE_WITNESS_H
#define TM_DURABLE_WITNESS_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

#define TM_WITNESS_NAME "durable"

/* What the file was found to be. */
enum { TM_WITNESS_NONE, TM_WITNESS_WHOLE, TM_WITNESS_COPIED, TM_WITNESS_BROKEN };

/* One of these, and *epoch, 0 if it is not whole; or -1 with err: it cannot be read. A file of another folder is a broken one. */
int tm_witness_read(const struct tm_io *io, const char *dir, uint64_t id, uint64_t *epoch, struct tm_err *err);
/* The file that is open for writing. */
struct tm_witness {
  int fd;                           /* -1: not made yet */
  uint64_t id, number;
};
/* Makes the file, or makes it anew: 0 and it is open, or -errno. Of w the id is the caller's. */
int tm_witness_make(const struct tm_io *io, const char *dir, struct tm_witness *w, uint64_t epoch);
/* Another epoch, in place: 0 or -errno. */
int tm_witness_put(const struct tm_io *io, const struct tm_witness *w, uint64_t epoch);

#endif
