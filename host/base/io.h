/* io.h - the one table of functions behind which files, clocks, randomness and the durable core's memory lie.
 *
 * Whatever must survive a crash, or be the same in a replay, reaches the system only through a
 * `const struct tm_io *` that it was given. tm_io_real is the system itself; a simulated table puts the struct
 * first in its own and finds its state from the pointer each function receives.
 *
 * All functions return >= 0, or the negative errno (-ENOENT); errno itself means nothing. None retries: an
 * interrupted call returns -EINTR, a short read or write its length. Files are opened close-on-exec.
 * Paths and buffers are borrowed for the call. */
#ifndef TM_BASE_IO_H
#define TM_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

struct tm_io_look {
  int is_dir, is_file;
  int mine;               /* the owner is who this process acts for */
  int64_t size;
  uint64_t number;        /* its inode: the same while it is renamed, another one in a copy */
};

struct tm_io {
  /* flags and mode as in open(2); returns the descriptor */
  int (*open)(const struct tm_io *io, const char *path, int flags, int mode);
  /* the descriptor is gone afterwards, also after an error */
  int (*close)(const struct tm_io *io, int fd);
  /* returns bytes moved; 0 from a read is the end */
  int64_t (*read)(const struct tm_io *io, int fd, void *data, size_t n);
  int64_t (*pread)(const struct tm_io *io, int fd, void *data, size_t n, int64_t at);
  int64_t (*write)(const struct tm_io *io, int fd, const void *data, size_t n);
  int64_t (*pwrite)(const struct tm_io *io, int fd, const void *data, size_t n, int64_t at);
  /* a failed sync is final: what was written since the last good one may be gone, whatever a second call says */
  int (*fdatasync)(const struct tm_io *io, int fd);
  int (*ftruncate)(const struct tm_io *io, int fd, int64_t size);
  /* bytes in a regular file; -EISDIR for a directory, -ESPIPE for what has no size (pipes, terminals, sockets) */
  int64_t (*size)(const struct tm_io *io, int fd);
  int (*mkdir)(const struct tm_io *io, const char *path, int mode);
  int (*rename)(const struct tm_io *io, const char *from, const char *to);
  int (*unlink)(const struct tm_io *io, const char *path);
  /* makes names in the directory durable: after a rename, a new file, an unlink */
  int (*fsync_dir)(const struct tm_io *io, const char *path);
  /* never goes back, does not count time asleep; for intervals */
  uint64_t (*mono_ns)(const struct tm_io *io);
  /* milliseconds since 1970-01-01 UTC; may jump */
  int64_t (*real_ms)(const struct tm_io *io);
  /* fills data with unpredictable bytes: 0 or -errno */
  int (*random)(const struct tm_io *io, void *data, size_t n);
  /* gives the file's bytes [at, at + n) room on the disk, growing it: a write there cannot fail for want of space */
  int (*fallocate)(const struct tm_io *io, int fd, int64_t at, int64_t n);
  /* flock, exclusive, does not wait: 0, or -EWOULDBLOCK when another descriptor has it; closing gives it back */
  int (*lock)(const struct tm_io *io, int fd);
  /* what lies at a path; links are followed */
  int (*look)(const struct tm_io *io, const char *path, struct tm_io_look *out);
  /* calls `name` for each entry but . and .., in no order, until it returns other than 0: that, else 0 or -errno */
  int (*list)(const struct tm_io *io, const char *path, int (*name)(void *ctx, const char *name), void *ctx);
  /* realloc (p NULL: malloc; n 0: free, returns NULL); NULL when there is no memory, p stays as it was */
  void *(*memory)(const struct tm_io *io, void *p, size_t n);
};

extern const struct tm_io tm_io_real;

/* Writes all n bytes to a blocking descriptor, going on after interruptions and short writes: 0 or -errno. */
int tm_io_write_all(const struct tm_io *io, int fd, const void *data, size_t n);
/* Reads until n bytes or the end: bytes read, or -errno. */
int64_t tm_io_read_all(const struct tm_io *io, int fd, void *data, size_t n);
/* The same at a place of a file. */
int tm_io_pwrite_all(const struct tm_io *io, int fd, const void *data, size_t n, int64_t at);
int64_t tm_io_pread_all(const struct tm_io *io, int fd, void *data, size_t n, int64_t at);
/* Opens, going on after interruptions: the descriptor or -errno. */
int tm_io_open(const struct tm_io *io, const char *path, int flags, int mode);

#endif
