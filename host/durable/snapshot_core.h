/* snapshot_core.h - snapshots from the inside: reading and writing their records; for snapshot_*.c only. */
#ifndef TM_DURABLE_SNAPSHOT_CORE_H
#define TM_DURABLE_SNAPSHOT_CORE_H

#include "data_dir.h"
#include "record.h"
#include "snapshot.h"

enum { TM_SNAPSHOT_PATH = TM_DATA_PATH_MAX + 64, TM_SNAPSHOT_RECORD = TM_RECORD_HEAD + TM_SNAPSHOT_BLOCK };

/* Walks the records of one file in order, checking each. */
struct tm_snapshot_reader {
  const struct tm_io *io;
  int fd;
  char path[TM_SNAPSHOT_PATH];
  uint64_t id;
  struct tm_snapshot expected;
  int any_chain;                    /* 1: the manifest is gone, the file speaks for itself */
  int64_t at, size;                 /* of the next record; of the file */
  uint32_t chain;
  uint64_t records;
  struct tm_record record;          /* the last one read */
  unsigned char head[TM_RECORD_HEAD];
  unsigned char *body;              /* its body, TM_RECORD_BODY_MAX bytes */
  uint64_t block_next;              /* blocks come at least from here on */
  int64_t head_at, head_length;     /* pieces of the epoch's head so far, all */
};

/* Opens a snapshot and reads its "H": 0, or -1 with err. */
int tm_snapshot_reader_open(struct tm_snapshot_reader *r, const struct tm_io *io, const char *dir, uint64_t id,
                            const struct tm_snapshot *s, struct tm_err *err);
void tm_snapshot_reader_close(struct tm_snapshot_reader *r);
/* The next record: 1 a "P" or "E" in r->record, 0 the end (totals and chain are right), -1 with err. bodies 0: of blocks only the
 * head is read, so that their bodies are not checked. */
int tm_snapshot_reader_next(struct tm_snapshot_reader *r, int bodies, struct tm_err *err);
/* The body of the record that begins at `at` of the file and is of the block at `offset`, into r->body: 0, or -1 with err. */
int tm_snapshot_reader_block(struct tm_snapshot_reader *r, int64_t at, uint64_t offset, struct tm_err *err);

/* Reads the snapshot of an epoch without a manifest, all of it: 0 and *s, or -1 with err. */
int tm_snapshot_probe(const struct tm_io *io, const char *dir, uint64_t id, uint64_t epoch, struct tm_snapshot *s, struct tm_err *err);

/* Writes DIR/snapshot.new. */
struct tm_snapshot_writer {
  const struct tm_io *io;
  int fd;
  char path[TM_SNAPSHOT_PATH];
  int64_t at;
  uint32_t chain;
  uint64_t records;
  unsigned char *bytes;             /* a record */
};

int tm_snapshot_writer_open(struct tm_snapshot_writer *w, const struct tm_io *io, const char *dir, uint64_t id, uint64_t epoch,
                            int64_t head_length, struct tm_err *err);
int tm_snapshot_writer_put(struct tm_snapshot_writer *w, char type, uint64_t offset, const void *body, int64_t n, struct tm_err *err);
/* The "X", and the file synced and closed: 0 and *s, or -1 with err. */
int tm_snapshot_writer_end(struct tm_snapshot_writer *w, struct tm_snapshot *s, struct tm_err *err);
/* Frees memory and closes; what was written is removed unless it ended. */
void tm_snapshot_writer_close(struct tm_snapshot_writer *w);

/* Writes the manifest: 0, or -1 with err. */
int tm_snapshot_list_write(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_snapshot_list *list, struct tm_err *err);
/* The epoch in a snapshot's file name, or 0. */
uint64_t tm_snapshot_name_epoch(const char *name);
/* The CRC of one more record in a chain. */
uint32_t tm_snapshot_chain(uint32_t chain, uint32_t crc);

#endif
