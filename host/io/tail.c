/* tail.c - hashes of the ends of files (tail.h). */
#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void tm_tail_set(struct tm_tail *t, const char *data, int64_t len) {
  int64_t n = len < TM_TAIL_MAX ? len : TM_TAIL_MAX;
  if (n <= 0) return;
  *t = (struct tm_tail){XXH3_64bits(data + len - n, (size_t)n), n};
}

int tm_tail_check(const struct tm_tail *t, const struct tm_io *io, const char *path, int64_t end, struct tm_err *err) {
  char bytes[TM_TAIL_MAX];
  if (t->n <= 0 || t->n > TM_TAIL_MAX || t->n > end) return 0;
  int fd = tm_io_open(io, path, O_RDONLY | O_NONBLOCK, 0);
  int64_t got = fd < 0 ? fd : tm_io_pread_all(io, fd, bytes, (size_t)t->n, end - t->n);
  if (fd >= 0) io->close(io, fd);
  if (got < 0) return tm_err_set(err, 1, "file-read", "%.400s: what was written to it cannot be read again: %s", path, strerror((int)-got));
  if (got == t->n && XXH3_64bits(bytes, (size_t)got) == t->hash) return 0;
  return tm_err_set(err, 1, "file-changed", "%.400s: the bytes before byte %lld are not those that were written there: somebody has changed the "
                    "file, so it cannot be cut back to where the run goes on. Put it back as it was, or start anew with --reset", path, (long long)end);
}
