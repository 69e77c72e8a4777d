/* witness.c - reading and writing the file 'durable' (witness.h draws it). */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../base/crc32c.h"
#include "bytes.h"
#include "data_dir.h"

enum { SIZE = 64, ID_AT = 8, EPOCH_AT = 16, NUMBER_AT = 24, CRC_AT = 60 };
static const unsigned char magic[8] = { 't', 'm', 'J', 'w', 'i', 't', 'n', '\n' };

static void fill(unsigned char *out, uint64_t id, uint64_t epoch, uint64_t number) {
  memset(out, 0, SIZE);
  memcpy(out, magic, sizeof magic);
  tm_bytes_put64(out + ID_AT, id);
  tm_bytes_put64(out + EPOCH_AT, epoch);
  tm_bytes_put64(out + NUMBER_AT, number);
  tm_bytes_put32(out + CRC_AT, tm_crc32c(0, out, CRC_AT));
}

int tm_witness_read(const struct tm_io *io, const char *dir, uint64_t id, uint64_t *epoch, struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64];
  unsigned char in[SIZE], same[SIZE];
  struct tm_io_look look;
  int fd = tm_io_open(io, tm_data_path(dir, TM_WITNESS_NAME, path), O_RDONLY, 0);
  int64_t n;

  *epoch = 0;
  if (fd == -ENOENT) return TM_WITNESS_NONE;
  n = fd < 0 ? fd : tm_io_pread_all(io, fd, in, SIZE, 0);
  if (fd >= 0) io->close(io, fd);
  if (n >= 0 && n < SIZE) return TM_WITNESS_BROKEN;
  if (n >= 0) n = io->look(io, path, &look);
  if (n < 0) return tm_err_set(err, 1, "journal-io", "cannot read %.400s: %s", path, strerror((int)-n));
  fill(same, id, tm_bytes_get64(in + EPOCH_AT), tm_bytes_get64(in + NUMBER_AT));
  if (memcmp(in, same, SIZE) != 0) return TM_WITNESS_BROKEN;
  if (tm_bytes_get64(in + NUMBER_AT) != look.number) return TM_WITNESS_COPIED;
  *epoch = tm_bytes_get64(in + EPOCH_AT);
  return TM_WITNESS_WHOLE;
}

int tm_witness_make(const struct tm_io *io, const char *dir, struct tm_witness *w, uint64_t epoch) {
  char path[TM_DATA_PATH_MAX + 64], temporary[TM_DATA_PATH_MAX + 64];
  struct tm_io_look look;
  int r, fd = tm_io_open(io, tm_data_path(dir, TM_WITNESS_NAME ".new", temporary), O_WRONLY | O_CREAT | O_TRUNC, 0600);

  if (fd < 0) return fd;
  w->fd = fd;
  r = io->look(io, temporary, &look);
  if (r == 0) {
    w->number = look.number;
    r = tm_witness_put(io, w, epoch);
  }
  if (r == 0) r = io->fdatasync(io, fd);
  if (r == 0) r = io->rename(io, temporary, tm_data_path(dir, TM_WITNESS_NAME, path));
  if (r == 0) r = io->fsync_dir(io, dir);
  if (r == 0) return 0;
  io->close(io, fd);
  w->fd = -1;
  return r;
}

int tm_witness_put(const struct tm_io *io, const struct tm_witness *w, uint64_t epoch) {
  unsigned char out[SIZE];

  fill(out, w->id, epoch, w->number);
  return tm_io_pwrite_all(io, w->fd, out, SIZE, 0);
}
