/* data_file.c - paths in a data folder, and small files of it written whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "data_dir.h"

char *tm_data_path(const char *dir, const char *name, char *out) {
  int n = snprintf(out, TM_DATA_PATH_MAX + 64, "%s/%s", dir, name);

  TM_ASSERT(n > 0 && n < TM_DATA_PATH_MAX + 64);
  return out;
}

int tm_data_is_no_room(int64_t code) {
  return code == -ENOSPC || code == -EDQUOT;
}

static int failed(struct tm_err *err, const char *what, const char *path, int code) {
  if (tm_data_is_no_room(code)) return tm_err_set(err, 1, "data-room", "cannot %s %.400s: %s. Make room on the disk", what, path, strerror(-code));
  return tm_err_set(err, 1, "data-io", "cannot %s %.400s: %s", what, path, strerror(-code));
}

int tm_data_file_write(const struct tm_io *io, const char *dir, const char *name, const void *bytes, int64_t n,
                       struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64], temporary[TM_DATA_PATH_MAX + 64], name_new[64];
  int fd, r;

  snprintf(name_new, sizeof name_new, "%s.new", name);
  tm_data_path(dir, name, path);
  fd = tm_io_open(io, tm_data_path(dir, name_new, temporary), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return failed(err, "make", temporary, fd);
  r = tm_io_pwrite_all(io, fd, bytes, (size_t)n, 0);
  if (r == 0) r = io->fdatasync(io, fd);
  io->close(io, fd);
  if (r < 0) return failed(err, "write", temporary, r);
  r = io->rename(io, temporary, path);
  if (r < 0) return failed(err, "put in its place", path, r);
  r = io->fsync_dir(io, dir);
  return r < 0 ? failed(err, "sync the folder", dir, r) : 0;
}
