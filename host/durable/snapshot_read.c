/* snapshot_read.c - one snapshot's records in order, each checked, and the totals at the end; snapshot.h draws the file. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../base/crc32c.h"
#include "bytes.h"
#include "payload.h"
#include "snapshot_core.h"

static int damaged(const struct tm_snapshot_reader *r, const char *what, struct tm_err *err) {
  return tm_err_set(err, 1, "snapshot-damaged", "%.400s, byte %" PRId64 ": the snapshot is damaged: %s", r->path, r->at, what);
}

static int unreadable(const struct tm_snapshot_reader *r, const char *what, int64_t code, struct tm_err *err) {
  return tm_err_set(err, 1, "snapshot-io", "cannot %s %.400s: %s", what, r->path, strerror((int)-code));
}

uint32_t tm_snapshot_chain(uint32_t chain, uint32_t crc) {
  unsigned char bytes[4];

  tm_bytes_put32(bytes, crc);
  return tm_crc32c(chain, bytes, sizeof bytes);
}

/* The record at r->at: 0, or -1 with err. */
static int record_get(struct tm_snapshot_reader *r, int body, struct tm_err *err) {
  int64_t n = tm_io_pread_all(r->io, r->fd, r->head, TM_RECORD_HEAD, r->at);

  if (n < 0) return unreadable(r, "read", n, err);
  if (n < TM_RECORD_HEAD) return damaged(r, "it ends where a record is expected", err);
  if (!tm_record_read(r->head, &r->record)) return damaged(r, "no record begins there", err);
  if (!body && r->record.type == 'P') return r->at + TM_RECORD_HEAD + r->record.length <= r->size ? 0 : damaged(r, "it ends within a block", err);
  n = tm_io_pread_all(r->io, r->fd, r->body, r->record.length, r->at + TM_RECORD_HEAD);
  if (n < 0) return unreadable(r, "read", n, err);
  if (n < (int64_t)r->record.length) return damaged(r, "it ends within a record", err);
  return tm_record_fits(r->head, &r->record, r->body) ? 0 : damaged(r, "a record's check value is wrong", err);
}

/* Is "H" what it must be? */
static int begin(struct tm_snapshot_reader *r, struct tm_err *err) {
  uint64_t version, id, epoch, head;
  const unsigned char *body = r->body;
  int64_t n;

  if (record_get(r, 1, err) != 0) return -1;
  n = r->record.length;
  if (r->record.type != 'H' || !tm_map_has_text(body, n, "format", "tidemill snapshot") || !tm_map_get_number(body, n, "version", &version) ||
      !tm_map_get_number(body, n, "id", &id) || !tm_map_get_number(body, n, "epoch", &epoch) || !tm_map_get_number(body, n, "head", &head) ||
      head > TM_PAYLOAD_HEAD_MAX)
    return damaged(r, "it does not begin as a snapshot", err);
  if (version > TM_SNAPSHOT_VERSION)
    return tm_err_set(err, 1, "snapshot-newer", "%.400s was written by a newer tidemill (format %" PRIu64 ", this version knows %d)", r->path,
                      version, TM_SNAPSHOT_VERSION);
  if (id != r->id) return damaged(r, "it belongs to another data folder", err);
  if (epoch != r->expected.epoch) return damaged(r, "it is of another epoch than its name says", err);
  r->head_length = (int64_t)head;
  r->chain = tm_snapshot_chain(0, r->record.crc);
  r->records = 1;
  r->at += TM_RECORD_HEAD + n;
  return 0;
}

int tm_snapshot_reader_open(struct tm_snapshot_reader *r, const struct tm_io *io, const char *dir, uint64_t id,
                            const struct tm_snapshot *s, struct tm_err *err) {
  char name[TM_SNAPSHOT_NAME];
  int fd;

  memset(r, 0, sizeof *r);
  r->io = io;
  r->fd = -1;
  r->id = id;
  r->expected = *s;
  tm_data_path(dir, tm_snapshot_name(s->epoch, name), r->path);
  fd = tm_io_open(io, r->path, O_RDONLY, 0);
  if (fd < 0) return unreadable(r, "open", fd, err);
  r->fd = fd;
  r->size = io->size(io, r->fd);
  r->body = io->memory(io, NULL, TM_RECORD_BODY_MAX);
  if (r->size < 0) {
    unreadable(r, "look at", r->size, err);
    goto fail;
  }
  if (r->body == NULL) {
    tm_err_set(err, 1, "no-memory", "no memory to read %.400s", r->path);
    goto fail;
  }
  if (r->size != s->size) {
    tm_err_set(err, 1, "snapshot-damaged", "%.400s: the snapshot is damaged: it has %" PRId64 " bytes, the manifest says %" PRId64, r->path, r->size,
               s->size);
    goto fail;
  }
  if (begin(r, err) == 0) return 0;
fail:
  tm_snapshot_reader_close(r);
  return -1;
}

void tm_snapshot_reader_close(struct tm_snapshot_reader *r) {
  if (r->fd >= 0) r->io->close(r->io, r->fd);
  r->fd = -1;
  r->io->memory(r->io, r->body, 0);
  r->body = NULL;
}

/* The totals: 0, or -1 with err. */
static int end(const struct tm_snapshot_reader *r, struct tm_err *err) {
  uint64_t records, bytes, chain;
  int64_t n = r->record.length;

  if (!tm_map_get_number(r->body, n, "records", &records) || !tm_map_get_number(r->body, n, "bytes", &bytes) ||
      !tm_map_get_number(r->body, n, "chain", &chain) || records != r->records || bytes != (uint64_t)r->at || chain != r->chain)
    return damaged(r, "records are missing, or there are too many", err);
  if (r->at + TM_RECORD_HEAD + n != r->size) return damaged(r, "something lies behind its end", err);
  if (r->head_at != r->head_length) return damaged(r, "the head of its epoch is not whole", err);
  if (r->chain != r->expected.chain && !r->any_chain) return damaged(r, "it is not the one that the manifest names", err);
  return 0;
}

int tm_snapshot_reader_next(struct tm_snapshot_reader *r, int bodies, struct tm_err *err) {
  if (record_get(r, bodies, err) != 0) return -1;
  switch (r->record.type) {
    case 'P':
      if (r->record.length != TM_SNAPSHOT_BLOCK || r->record.offset % TM_SNAPSHOT_BLOCK != 0 || r->record.offset < r->block_next ||
          r->record.offset >= TM_PAYLOAD_SPACE || r->head_at > 0)
        return damaged(r, "a block is not in its place", err);
      r->block_next = r->record.offset + TM_SNAPSHOT_BLOCK;
      break;
    case 'E':
      if (r->record.length == 0 || r->record.offset != (uint64_t)r->head_at || (int64_t)r->record.length > r->head_length - r->head_at)
        return damaged(r, "a piece of the head is not in its place", err);
      r->head_at += r->record.length;
      break;
    case 'X':
      return end(r, err) == 0 ? 0 : -1;
    default:
      return damaged(r, "a record of an unknown type", err);
  }
  r->records++;
  r->chain = tm_snapshot_chain(r->chain, r->record.crc);
  r->at += TM_RECORD_HEAD + (int64_t)r->record.length;
  return 1;
}

int tm_snapshot_reader_block(struct tm_snapshot_reader *r, int64_t at, uint64_t offset, struct tm_err *err) {
  r->at = at;
  if (record_get(r, 1, err) != 0) return -1;
  return r->record.type == 'P' && r->record.offset == offset ? 0 : damaged(r, "another block was there before", err);
}

int tm_snapshot_read(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_snapshot *s,
                     const struct tm_snapshot_visitor *to, struct tm_err *err) {
  struct tm_snapshot_reader r;
  unsigned char *head = NULL;
  int got = -1;

  if (tm_snapshot_reader_open(&r, io, dir, id, s, err) != 0) return -1;
  if (to->head != NULL) {
    head = io->memory(io, NULL, (size_t)r.head_length + 1);
    if (head == NULL) {
      tm_err_set(err, 1, "no-memory", "no memory to read %.400s", r.path);
      goto end;
    }
  }
  while ((got = tm_snapshot_reader_next(&r, 1, err)) == 1) {
    if (r.record.type == 'P' && to->block != NULL && to->block(to->ctx, r.record.offset, r.body, TM_SNAPSHOT_BLOCK, err) != 0) {
      got = -1;
      break;
    }
    if (r.record.type == 'E' && head != NULL) memcpy(head + r.record.offset, r.body, r.record.length);
  }
  if (got == 0 && to->head != NULL) got = to->head(to->ctx, s->epoch, head, r.head_length, err);
end:
  io->memory(io, head, 0);
  tm_snapshot_reader_close(&r);
  return got;
}

int tm_snapshot_probe(const struct tm_io *io, const char *dir, uint64_t id, uint64_t epoch, struct tm_snapshot *s, struct tm_err *err) {
  char path[TM_SNAPSHOT_PATH], name[TM_SNAPSHOT_NAME];
  struct tm_snapshot_reader r;
  struct tm_io_look look;
  int got = io->look(io, tm_data_path(dir, tm_snapshot_name(epoch, name), path), &look);

  if (got < 0) return tm_err_set(err, 1, "snapshot-io", "cannot look at %.400s: %s", path, strerror(-got));
  *s = (struct tm_snapshot){ .epoch = epoch, .size = look.size };
  if (tm_snapshot_reader_open(&r, io, dir, id, s, err) != 0) return -1;
  r.any_chain = 1;
  do got = tm_snapshot_reader_next(&r, 1, err);
  while (got == 1);
  s->chain = r.chain;
  tm_snapshot_reader_close(&r);
  return got;
}
