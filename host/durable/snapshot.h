/* snapshot.h - snapshots: all of the address space that is not zero, as of one epoch, in a file of msgpack.
 *
 * A process of low priority makes the next one from files that do not change any more: the snapshot before and the journal's
 * durable epochs after it. Two generations are kept; the manifest names them.
 *
 *   snapshot.E   E: the epoch, 16 hexadecimal digits. A row of records (record.h), each a msgpack array
 *     "H" 0        map: format, version, id, epoch, head (length of the epoch's head)
 *     "P" offset   a block of the address space, 1 MiB; those missing are zero; by offset, each once
 *     "E" at       a piece of the head of that epoch, at most 1 MiB, in order
 *     "X" 0        map: records, bytes, chain (CRC32C over the CRCs of all records before)
 *   manifest     one record "M": map: format, version, id, generations: [[epoch, size, chain], ...], the newest first
 *
 * Whatever is read is checked: each record's CRC, order, the totals, the manifest's size and chain. */
#ifndef TM_DURABLE_SNAPSHOT_H
#define TM_DURABLE_SNAPSHOT_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_SNAPSHOT_VERSION = 1, TM_SNAPSHOT_BLOCK = 1 << 20, TM_SNAPSHOT_KEPT = 2, TM_SNAPSHOT_NAME = 32 };

struct tm_snapshot {
  uint64_t epoch;
  int64_t size;                     /* bytes of the file */
  uint32_t chain;
};

/* The manifest. */
struct tm_snapshot_list {
  int n;
  struct tm_snapshot kept[TM_SNAPSHOT_KEPT];  /* the newest first */
};

/* Reads the manifest: 0 (no manifest: n is 0), or -1 with err. */
int tm_snapshot_list_read(const struct tm_io *io, const char *dir, uint64_t id, struct tm_snapshot_list *list, struct tm_err *err);
/* The file's name in its folder; out has TM_SNAPSHOT_NAME bytes. Returns out. */
char *tm_snapshot_name(uint64_t epoch, char *out);

/* What a snapshot holds, in order: blocks by offset, then the head. NULL for both: it is only checked. */
struct tm_snapshot_visitor {
  void *ctx;
  int (*block)(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err);
  int (*head)(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *err);
};
/* Reads one of the list: 0, or -1 with err (what is wrong and where). What was visited before an error is not to be trusted. */
int tm_snapshot_read(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_snapshot *s,
                     const struct tm_snapshot_visitor *to, struct tm_err *err);

struct tm_snapshot_made {
  uint64_t epoch;                   /* of the newest one now; that of before when there was nothing to do */
  int made;                         /* 1: a new one */
  int64_t size, blocks, passes;     /* of it; times the journal was read */
};
/* Makes the next snapshot from the one before and the journal: verified, then named in the manifest, then files that no
 * generation is are removed. memory_max: bytes for blocks at a time; 0: 64 MiB, or a sixteenth of the snapshot before.
 * One at a time: refuses when another process makes one (snapshot.lock). 0, or -1 with err: the generations of before are as
 * they were. */
int tm_snapshot_merge(const struct tm_io *io, const char *dir, uint64_t id, int64_t memory_max, struct tm_snapshot_made *made,
                      struct tm_err *err);

/* 1 when the next one should be made: the journal since the last is as large as it, and at least 64 MiB. */
int tm_snapshot_due(const struct tm_snapshot_list *list, int64_t journal_bytes);
/* Starts `tidemill snapshot make DIR` as a child of low priority (nice 19, idle for I/O): its process id, or -1 with err. The
 * caller waits for it; exit code 0: read the list again and release the journal up to the older generation. */
int tm_snapshot_start(const char *dir, struct tm_err *err);

#endif
