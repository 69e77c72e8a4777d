/* files_fresh.c - files of a sink in a run that is kept: which were begun, and cutting them back in a later process (files.h).
 *
 * What is kept of a sink says how many bytes each of its files had. Behind that come files begun since then, which it does not know.
 * So before a file is made, or the first byte goes to one that is there, a line about it is added to a file of the data folder and synced:
 *
 *   16 hexadecimal digits of XXH3 of the rest, number, bytes it had (-1: it was not there), path
 *
 * A line that is not whole is about a file to which nothing was written. When an epoch that knows all files named there is durable the
 * lines go. A process that takes up the run removes what was begun behind its epoch, gives files that were completed since then
 * their name of before, and cuts all others to what they had. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../base/log.h"
#include "files_state.h"

enum { LINE_ROOM = TM_PATH_TEMPLATE_MAX + 64, HASH_DIGITS = 16, BEGUN_MAX = 256 << 20 };

int tm_files_begun(struct tm_files *f, int32_t i, int64_t had) {
  char rest[LINE_ROOM], line[LINE_ROOM + HASH_DIGITS + 2];
  if (f->begun_fd < 0) return 0;
  int n = snprintf(rest, sizeof rest, " %d %lld %s", (int)f->mem.state->files[i].number, (long long)had, tm_file_path(f, i));
  n = snprintf(line, sizeof line, "%016" PRIx64 "%s\n", XXH3_64bits(rest, (size_t)n), rest);
  int rc = tm_io_write_all(f->io, f->begun_fd, line, (size_t)n);
  if (rc != 0) {
    /* the next line must not stand behind half of this one */
    int back = f->io->ftruncate(f->io, f->begun_fd, f->begun_n);
    return back != 0 ? back : rc;
  }
  f->begun_n += n;
  rc = f->io->fdatasync(f->io, f->begun_fd);
  if (rc != 0) f->unsynced = -rc;
  return rc;
}

int32_t tm_files_written(struct tm_files *f, int *fds, int32_t most) {
  int32_t n = 0;
  for (int32_t i = 0; i < f->open_n && n < most; i++)
    if ((fds[n] = fcntl(f->fds[f->open[i]], F_DUPFD_CLOEXEC, 0)) >= 0) n++;
  if (f->begun_fd < 0) return n;
  if (f->begun_n > 0 && f->begun_n == f->begun_cut && f->io->ftruncate(f->io, f->begun_fd, 0) == 0) f->begun_n = 0;
  f->begun_cut = f->begun_n;
  return n;
}

static int failed(const char *path, int rc, const char *what, struct tm_err *err) {
  return tm_err_set(err, 1, "file-restore", "%s: %s: %s", path, what, strerror(-rc));
}

/* A path that may not be there goes. */
static int remove_file(const struct tm_files *f, const char *path, struct tm_err *err) {
  int rc = f->io->unlink(f->io, path);
  return rc == 0 || rc == -ENOENT ? 0 : failed(path, rc, "was begun behind the last durable epoch, and cannot be removed", err);
}

/* The file has at least `size` bytes, of those up to `end` the last are `tail` (NULL: not known), and from now on it has no more. */
static int cut_file(const struct tm_files *f, const char *path, int64_t size, const struct tm_tail *tail, int64_t end, struct tm_err *err) {
  int fd = f->io->open(f->io, path, O_WRONLY, 0);
  if (fd < 0) return failed(path, fd, "was written to, and cannot be opened any more. Put it back, or start anew with --reset", err);
  int64_t now = f->io->size(f->io, fd);
  if (now >= size && tail != NULL && tm_tail_check(tail, f->io, path, end, err) != 0) {
    f->io->close(f->io, fd);
    return -1;
  }
  int rc = now > size ? f->io->ftruncate(f->io, fd, size) : 0;
  if (rc == 0 && now > size) rc = f->io->fdatasync(f->io, fd);
  f->io->close(f->io, fd);
  if (rc != 0) return failed(path, rc, "cannot be cut back to what is known of it", err);
  if (now >= size) return 0;
  return tm_err_set(err, 1, "file-short",
                    "%s: has %lld bytes, but %lld were written to it: rows are gone that the data folder counts as written. Put the "
                    "file back, or start anew with --reset",
                    path, (long long)now, (long long)size);
}

/* A file that was begun: does the kept table know what it had then? If not it goes, or is cut to what it had before. */
static int begun_back(struct tm_files *f, int32_t number, int64_t had, const char *path, struct tm_err *err) {
  char name[TM_FILES_NAME_ROOM];
  int32_t i = tm_files_find(f, path);
  const struct tm_file *file = i >= 0 ? &f->mem.state->files[i] : NULL;
  if (number > 0) {
    if (file != NULL && (number < file->number || (number == file->number && (!file->open || file->size >= 0)))) return 0;
    for (int complete = 0; complete < 2; complete++) {
      tm_file_rolled_name(path, number, complete, name);
      if (remove_file(f, name, err) != 0) return -1;
    }
    return 0;
  }
  if (file != NULL && file->size >= 0) return 0;
  return had < 0 ? remove_file(f, path, err) : cut_file(f, path, had, NULL, 0, err);
}

/* The lines of the file of what was begun; one that is not whole ends them. */
static int lines_back(struct tm_files *f, char *text, struct tm_err *err) {
  for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    int number, at = 0;
    long long had;
    uint64_t hash;
    *end = '\0';
    if (end - line <= HASH_DIGITS || sscanf(line, "%16" SCNx64, &hash) != 1 ||
        XXH3_64bits(line + HASH_DIGITS, (size_t)(end - line - HASH_DIGITS)) != hash)
      return 0;
    if (sscanf(line + HASH_DIGITS, " %d %lld %n", &number, &had, &at) != 2 || at == 0) return 0;
    if (begun_back(f, number, had, line + HASH_DIGITS + at, err) != 0) return -1;
  }
  return 0;
}

/* File i of the kept table as it was: under its name of then, with the bytes of then. */
static int file_back(struct tm_files *f, int32_t i, struct tm_err *err) {
  const struct tm_files_state *st = f->mem.state;
  const struct tm_file *file = &st->files[i];
  char now[TM_FILES_NAME_ROOM], then[TM_FILES_NAME_ROOM];
  if (!file->open || file->size < 0) return 0;
  int64_t size = file->size + (st->pieces_n > 0 && st->pieces[st->piece].file == i ? st->sent : 0);
  snprintf(then, sizeof then, "%s", tm_file_path(f, i));
  if (file->number > 0) {
    tm_file_rolled_name(tm_file_path(f, i), file->number, 0, then);
    tm_file_rolled_name(tm_file_path(f, i), file->number, 1, now);
    int rc = access(then, F_OK) != 0 && access(now, F_OK) == 0 ? f->io->rename(f->io, now, then) : 0;
    if (rc != 0) return failed(now, rc, "was completed behind the last durable epoch, and cannot be taken back", err);
  }
  return cut_file(f, then, size, &file->tail, file->size, err);
}

int tm_files_fresh(struct tm_files *f, const char *begun, struct tm_err *err) {
  int fd = f->io->open(f->io, begun, O_RDWR | O_CREAT | O_APPEND, 0600), rc;
  if (fd < 0) return failed(begun, fd, "cannot be opened", err);
  int64_t n = f->io->size(f->io, fd);
  char *text = n >= 0 && n < BEGUN_MAX ? malloc((size_t)n + 1) : NULL;
  if (text == NULL) {
    f->io->close(f->io, fd);
    return tm_err_set(err, 1, "memory", "%s: no memory to read it", begun);
  }
  text[n] = '\0';
  rc = tm_io_read_all(f->io, fd, text, (size_t)n) == n ? lines_back(f, text, err) : failed(begun, -EIO, "cannot be read", err);
  for (int32_t i = 0; rc == 0 && i < f->mem.state->files_n; i++) rc = file_back(f, i, err);
  if (rc == 0 && (rc = f->io->ftruncate(f->io, fd, 0)) != 0) rc = failed(begun, rc, "cannot be emptied", err);
  free(text);
  if (rc == 0) f->begun_fd = fd;
  else f->io->close(f->io, fd);
  return rc;
}
