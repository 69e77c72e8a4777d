/* io.c - the real I/O table: thin calls into the system, errno turned into a return value.
 *
 * Nothing here decides: no retries, no policy, no buffering. What a caller may expect is in io.h; a simulated
 * table must behave the same, or tests against it prove nothing. */
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int result(int r) {
  return r < 0 ? -errno : r;
}

static int64_t result_n(ssize_t r) {
  return r < 0 ? -(int64_t)errno : (int64_t)r;
}

static int real_open(const struct tm_io *io, const char *path, int flags, int mode) {
  (void)io;
  return result(open(path, flags | O_CLOEXEC, (mode_t)mode));
}

static int real_close(const struct tm_io *io, int fd) {
  (void)io;
  return result(close(fd));
}

static int64_t real_read(const struct tm_io *io, int fd, void *data, size_t n) {
  (void)io;
  return result_n(read(fd, data, n));
}

static int64_t real_pread(const struct tm_io *io, int fd, void *data, size_t n, int64_t at) {
  (void)io;
  return result_n(pread(fd, data, n, at));
}

static int64_t real_write(const struct tm_io *io, int fd, const void *data, size_t n) {
  (void)io;
  return result_n(write(fd, data, n));
}

static int64_t real_pwrite(const struct tm_io *io, int fd, const void *data, size_t n, int64_t at) {
  (void)io;
  return result_n(pwrite(fd, data, n, at));
}

static int real_fdatasync(const struct tm_io *io, int fd) {
  (void)io;
  return result(fdatasync(fd));
}

static int real_ftruncate(const struct tm_io *io, int fd, int64_t size) {
  (void)io;
  return result(ftruncate(fd, size));
}

static int64_t real_size(const struct tm_io *io, int fd) {
  struct stat st;

  (void)io;
  if (fstat(fd, &st) != 0) return -(int64_t)errno;
  if (S_ISDIR(st.st_mode)) return -EISDIR;
  return S_ISREG(st.st_mode) ? (int64_t)st.st_size : -ESPIPE;
}

static int real_mkdir(const struct tm_io *io, const char *path, int mode) {
  (void)io;
  return result(mkdir(path, (mode_t)mode));
}

static int real_rename(const struct tm_io *io, const char *from, const char *to) {
  (void)io;
  return result(rename(from, to));
}

static int real_unlink(const struct tm_io *io, const char *path) {
  (void)io;
  return result(unlink(path));
}

static int real_fsync_dir(const struct tm_io *io, const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int r;

  (void)io;
  if (fd < 0) return -errno;
  r = result(fsync(fd));
  close(fd);
  return r;
}

static uint64_t real_mono_ns(const struct tm_io *io) {
  struct timespec ts;

  (void)io;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int64_t real_ms(const struct tm_io *io) {
  struct timespec ts;

  (void)io;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int real_random(const struct tm_io *io, void *data, size_t n) {
  char *p = data;

  (void)io;
  while (n > 0) {
    ssize_t got = getrandom(p, n, 0);

    if (got < 0 && errno != EINTR) return -errno;
    if (got > 0) {
      p += got;
      n -= (size_t)got;
    }
  }
  return 0;
}

static int real_fallocate(const struct tm_io *io, int fd, int64_t at, int64_t n) {
  (void)io;
  return -posix_fallocate(fd, at, n);
}

static int real_lock(const struct tm_io *io, int fd) {
  (void)io;
  return result(flock(fd, LOCK_EX | LOCK_NB));
}

static int real_look(const struct tm_io *io, const char *path, struct tm_io_look *out) {
  struct stat st;

  (void)io;
  if (stat(path, &st) != 0) return -errno;
  *out = (struct tm_io_look){ .is_dir = S_ISDIR(st.st_mode), .is_file = S_ISREG(st.st_mode),
                              .mine = st.st_uid == geteuid(), .size = (int64_t)st.st_size, .number = st.st_ino };
  return 0;
}

static int real_list(const struct tm_io *io, const char *path, int (*name)(void *ctx, const char *name), void *ctx) {
  DIR *dir = opendir(path);
  const struct dirent *entry;
  int r = 0;

  (void)io;
  if (dir == NULL) return -errno;
  while (r == 0) {
    errno = 0;
    entry = readdir(dir);
    if (entry == NULL) {
      r = -errno;
      break;
    }
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) r = name(ctx, entry->d_name);
  }
  closedir(dir);
  return r;
}

static void *real_memory(const struct tm_io *io, void *p, size_t n) {
  (void)io;
  if (n > 0) return realloc(p, n);
  free(p);
  return NULL;
}

const struct tm_io tm_io_real = {
  .open = real_open,
  .close = real_close,
  .read = real_read,
  .pread = real_pread,
  .write = real_write,
  .pwrite = real_pwrite,
  .fdatasync = real_fdatasync,
  .ftruncate = real_ftruncate,
  .size = real_size,
  .mkdir = real_mkdir,
  .rename = real_rename,
  .unlink = real_unlink,
  .fsync_dir = real_fsync_dir,
  .mono_ns = real_mono_ns,
  .real_ms = real_ms,
  .random = real_random,
  .fallocate = real_fallocate,
  .lock = real_lock,
  .look = real_look,
  .list = real_list,
  .memory = real_memory,
};

int tm_io_write_all(const struct tm_io *io, int fd, const void *data, size_t n) {
  const char *p = data;

  while (n > 0) {
    int64_t put = io->write(io, fd, p, n);

    if (put == -EINTR) continue;
    if (put < 0) return (int)put;
    if (put == 0) return -EIO;
    p += put;
    n -= (size_t)put;
  }
  return 0;
}

int64_t tm_io_read_all(const struct tm_io *io, int fd, void *data, size_t n) {
  char *p = data;
  size_t have = 0;

  while (have < n) {
    int64_t got = io->read(io, fd, p + have, n - have);

    if (got == -EINTR) continue;
    if (got < 0) return got;
    if (got == 0) break;
    have += (size_t)got;
  }
  return (int64_t)have;
}

int tm_io_pwrite_all(const struct tm_io *io, int fd, const void *data, size_t n, int64_t at) {
  const char *p = data;

  while (n > 0) {
    int64_t put = io->pwrite(io, fd, p, n, at);

    if (put == -EINTR) continue;
    if (put < 0) return (int)put;
    if (put == 0) return -EIO;
    p += put;
    at += put;
    n -= (size_t)put;
  }
  return 0;
}

int64_t tm_io_pread_all(const struct tm_io *io, int fd, void *data, size_t n, int64_t at) {
  char *p = data;
  size_t have = 0;

  while (have < n) {
    int64_t got = io->pread(io, fd, p + have, n - have, at + (int64_t)have);

    if (got == -EINTR) continue;
    if (got < 0) return got;
    if (got == 0) break;
    have += (size_t)got;
  }
  return (int64_t)have;
}

int tm_io_open(const struct tm_io *io, const char *path, int flags, int mode) {
  int fd;

  do fd = io->open(io, path, flags, mode);
  while (fd == -EINTR);
  return fd;
}
