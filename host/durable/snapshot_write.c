/* snapshot_write.c - a snapshot's records written to DIR/snapshot.new; snapshot.h draws the file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "snapshot_core.h"

static int failed(const struct tm_snapshot_writer *w, const char *what, int code, struct tm_err *err) {
  return tm_err_set(err, 1, "snapshot-io", "cannot %s %.400s: %s; the snapshots of before are as they were", what, w->path, strerror(-code));
}

int tm_snapshot_writer_put(struct tm_snapshot_writer *w, char type, uint64_t offset, const void *body, int64_t n, struct tm_err *err) {
  uint32_t crc;
  int r;

  TM_ASSERT(n >= 0 && n <= TM_RECORD_BODY_MAX);
  crc = tm_record_write(w->bytes, type, offset, body, (uint32_t)n);
  if (n > 0) memcpy(w->bytes + TM_RECORD_HEAD, body, (size_t)n);
  r = tm_io_pwrite_all(w->io, w->fd, w->bytes, (size_t)(TM_RECORD_HEAD + n), w->at);
  if (r < 0) return failed(w, "write", r, err);
  w->at += TM_RECORD_HEAD + n;
  w->chain = tm_snapshot_chain(w->chain, crc);
  w->records++;
  return 0;
}

int tm_snapshot_writer_open(struct tm_snapshot_writer *w, const struct tm_io *io, const char *dir, uint64_t id, uint64_t epoch,
                            int64_t head_length, struct tm_err *err) {
  unsigned char map[TM_MAP_ROOM], *p = tm_map_begin(map, 5);

  memset(w, 0, sizeof *w);
  w->io = io;
  w->fd = -1;
  tm_data_path(dir, "snapshot.new", w->path);
  w->bytes = io->memory(io, NULL, TM_SNAPSHOT_RECORD);
  if (w->bytes == NULL) return tm_err_set(err, 1, "no-memory", "no memory to write %.400s", w->path);
  w->fd = tm_io_open(io, w->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (w->fd < 0) {
    failed(w, "make", w->fd, err);
    tm_snapshot_writer_close(w);
    return -1;
  }
  p = tm_map_text(p, "format", "tidemill snapshot");
  p = tm_map_number(p, "version", TM_SNAPSHOT_VERSION);
  p = tm_map_number(p, "id", id);
  p = tm_map_number(p, "epoch", epoch);
  p = tm_map_number(p, "head", (uint64_t)head_length);
  if (tm_snapshot_writer_put(w, 'H', 0, map, p - map, err) == 0) return 0;
  tm_snapshot_writer_close(w);
  return -1;
}

int tm_snapshot_writer_end(struct tm_snapshot_writer *w, struct tm_snapshot *s, struct tm_err *err) {
  unsigned char map[TM_MAP_ROOM], *p = tm_map_begin(map, 3);
  int r;

  s->chain = w->chain;
  p = tm_map_number(p, "records", w->records);
  p = tm_map_number(p, "bytes", (uint64_t)w->at);
  p = tm_map_number(p, "chain", w->chain);
  if (tm_snapshot_writer_put(w, 'X', 0, map, p - map, err) != 0) return -1;
  r = w->io->fdatasync(w->io, w->fd);
  if (r < 0) return failed(w, "sync", r, err);
  s->size = w->at;
  w->io->close(w->io, w->fd);
  w->fd = -1;
  return 0;
}

void tm_snapshot_writer_close(struct tm_snapshot_writer *w) {
  if (w->fd >= 0) {
    w->io->close(w->io, w->fd);
    w->io->unlink(w->io, w->path);
  }
  w->fd = -1;
  w->io->memory(w->io, w->bytes, 0);
  w->bytes = NULL;
}
