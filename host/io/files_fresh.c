/* files_fresh.c - files of a sink in a run that is kept: which were begun, and cutting them back in a later process (files.h).
 *
 * What is kept of a sink says how many bytes each of its files had. Behind that come files begun since then, which it does not know.
 * So before a file is made, or the first byte goes to one that is there, a line about it is added to a file of the data folder and synced:
 *
 *   head, 64 bytes   "tmFbegun" | i64 bytes of the file that are whole | i64 lines ever written, the head too | zeroes | u64 XXH3 of bytes 0-55
 *   line             16 hexadecimal digits of XXH3 of the rest, number, bytes it had (-1: it was not there), path
 *
 * A line that is not whole and not told of by the head was torn: nothing was written to its file. Everything else that is not as it should be is
 * damage. So is a file of fewer lines than what is kept of the sink counts, or than a second file does, whose name ends with .count:
 *
 *   u64 lines ever written, the head too | u64 XXH3 of the 8 bytes before      behind each line, without a sync: an older one is as true
 *
 * That one is a witness only: where it is not there, or not whole, it tells nothing. When an epoch that knows all files named there is
 * durable the lines go. A process that takes up the run removes what was begun behind its epoch, gives files that were completed since
 * then their name of before, and cuts all others to what they had. */
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

enum { LINE_ROOM = TM_PATH_TEMPLATE_MAX + 64, HASH_DIGITS = 16, BEGUN_MAX = 256 << 20, HEAD = 64, HASHED = 56 };

/* The head of a file of so many bytes. */
static int head_put(const struct tm_files *f, int64_t bytes) {
  char head[HEAD] = "tmFbegun";
  memcpy(head + 8, &bytes, sizeof bytes);
  memcpy(head + 16, &f->mem.state->noted, sizeof f->mem.state->noted);
  uint64_t hash = XXH3_64bits(head, HASHED);
  memcpy(head + HASHED, &hash, sizeof hash);
  return tm_io_pwrite_all(f->io, f->begun_fd, head, HEAD, 0);
}

/* 1: it is whole. */
static int head_get(const char *head, int64_t n, int64_t *bytes, int64_t *lines) {
  uint64_t hash;
  TM_ASSERT(head != NULL);
  if (n < HEAD) return 0;
  memcpy(bytes, head + 8, sizeof *bytes);
  memcpy(lines, head + 16, sizeof *lines);
  memcpy(&hash, head + HASHED, sizeof hash);
  return memcmp(head, "tmFbegun", 8) == 0 && hash == XXH3_64bits(head, HASHED);
}

/* 0 or -errno. */
static int count_put(const struct tm_files *f) {
  uint64_t count[2] = {(uint64_t)f->mem.state->noted, 0};
  count[1] = XXH3_64bits(count, sizeof count[0]);
  return tm_io_pwrite_all(f->io, f->count_fd, count, sizeof count, 0);
}

/* What the second file counts; 0: it tells nothing. It is open from here on. -errno: it cannot be opened. */
static int64_t count_open(struct tm_files *f, const char *begun) {
  char path[TM_PATH_TEMPLATE_MAX + 64];
  uint64_t count[2];
  snprintf(path, sizeof path, "%s.count", begun);
  f->count_fd = f->io->open(f->io, path, O_RDWR | O_CREAT, 0600);
  if (f->count_fd < 0) return f->count_fd;
  if (tm_io_pread_all(f->io, f->count_fd, count, sizeof count, 0) != (int64_t)sizeof count) return 0;
  return count[0] <= INT64_MAX && count[1] == XXH3_64bits(count, sizeof count[0]) ? (int64_t)count[0] : 0;
}

int tm_files_begun(struct tm_files *f, int32_t i, int64_t had) {
  char rest[LINE_ROOM], line[LINE_ROOM + HASH_DIGITS + 2];
  if (f->begun_fd < 0) return 0;
  int n = snprintf(rest, sizeof rest, " %d %lld %s", (int)f->mem.state->files[i].number, (long long)had, tm_file_path(f, i));
  n = snprintf(line, sizeof line, "%016" PRIx64 "%s\n", XXH3_64bits(rest, (size_t)n), rest);
  int rc = tm_io_pwrite_all(f->io, f->begun_fd, line, (size_t)n, f->begun_n);
  if (rc != 0) {
    /* the next line must not stand behind half of this one */
    int back = f->io->ftruncate(f->io, f->begun_fd, f->begun_n);
    return back != 0 ? back : rc;
  }
  rc = f->io->fdatasync(f->io, f->begun_fd);
  if (rc != 0) f->unsynced = -rc;
  if (rc != 0) return rc;
  f->begun_n += n;
  f->mem.state->noted++;
  /* not synced: an older head is as true */
  rc = head_put(f, f->begun_n);
  return rc == 0 ? count_put(f) : rc;
}

/* No line is needed any more. The head says so on the disk first: one that tells of lines which are gone is damage. 0 or -errno. */
static int lines_go(struct tm_files *f) {
  int rc = head_put(f, HEAD);
  if (rc == 0) rc = f->io->fdatasync(f->io, f->begun_fd);
  return rc == 0 ? f->io->ftruncate(f->io, f->begun_fd, HEAD) : rc;
}

int32_t tm_files_written(struct tm_files *f, int *fds, int32_t most) {
  int32_t n = 0;
  for (int32_t i = 0; i < f->open_n && n < most; i++)
    if ((fds[n] = fcntl(f->fds[f->open[i]], F_DUPFD_CLOEXEC, 0)) >= 0) n++;
  if (f->begun_fd < 0) return n;
  if (f->begun_n > HEAD && f->begun_n == f->begun_cut && lines_go(f) == 0) f->begun_n = HEAD;
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

/* What a line (n bytes, its LF not among them; a zero is put behind it) says: 1, or 0 it is none. */
static int line_get(char *line, size_t n, int32_t *number, int64_t *had, const char **path) {
  uint64_t hash;
  long long size;
  int at = 0, count;
  line[n] = '\0';
  if (n <= HASH_DIGITS || strlen(line) != n || sscanf(line, "%16" SCNx64, &hash) != 1) return 0;
  if (XXH3_64bits(line + HASH_DIGITS, n - HASH_DIGITS) != hash) return 0;
  if (sscanf(line + HASH_DIGITS, " %d %lld %n", &count, &size, &at) != 2 || at == 0) return 0;
  *number = count;
  *had = size;
  *path = line + HASH_DIGITS + at;
  return 1;
}

static int damaged(const char *begun, int64_t at, struct tm_err *err) {
  return tm_err_set(err, 1, "file-restore",
                    "%s: is damaged at byte %lld: it says which files were begun behind the last durable epoch. Put it back, or start anew "
                    "with --reset", begun, (long long)at);
}

/* The lines behind the head: those of its first `whole` bytes are, and of others each but a torn one, which is the last. lines: those that the
 * head does not know yet are added to it; NULL: what they tell of is taken back. */
static int lines_back(struct tm_files *f, const char *begun, char *text, int64_t size, int64_t whole, int64_t *lines, struct tm_err *err) {
  int64_t next;
  for (int64_t at = HEAD; at < size; at = next) {
    char *line = text + at;
    const char *end = memchr(line, '\n', (size_t)(size - at)), *path;
    size_t n = end != NULL ? (size_t)(end - line) : (size_t)(size - at);
    int32_t number;
    int64_t had;
    next = at + (int64_t)n + 1;
    if (end == NULL || !line_get(line, n, &number, &had, &path)) {
      if (at < whole || next < size) return damaged(begun, at, err);
      break;
    }
    if (lines != NULL) *lines += at >= whole;
    else if (begun_back(f, number, had, path, err) != 0) return -1;
    line[n] = '\n';
  }
  return 0;
}

/* The next number of a rolled file is nobody's: a file that has it was begun by the run, and its line is lost, or by somebody else. */
static int next_is_free(const struct tm_files *f, const char *begun, int32_t i, struct tm_err *err) {
  const struct tm_file *file = &f->mem.state->files[i];
  char name[TM_FILES_NAME_ROOM];
  for (int complete = 0; complete < 2 && file->number > 0; complete++) {
    tm_file_rolled_name(tm_file_path(f, i), file->number + 1, complete, name);
    if (access(name, F_OK) != 0) continue;
    return tm_err_set(err, 1, "file-restore",
                      "%s: is there, but the data folder knows nothing of it (%s): that file was cut off, or another run writes under this name. Put it "
                      "back, move the file away if its rows are not this run's, or start anew with --reset", name, begun);
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

static int sync_folder(const struct tm_files *f, const char *path) {
  char dir[TM_PATH_TEMPLATE_MAX + 64];
  const char *slash = strrchr(path, '/');
  snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
  return f->io->fsync_dir(f->io, dir);
}

/* The file of what was begun, opened and read: 0 and *text, the caller's, with *n bytes; -1 err. */
static int begun_read(struct tm_files *f, const char *begun, char **text, int64_t *n, struct tm_err *err) {
  int noted = f->mem.state->noted > 0, fd = f->io->open(f->io, begun, O_RDWR | (noted ? 0 : O_CREAT), 0600);
  if (fd == -ENOENT)
    return tm_err_set(err, 1, "file-restore", "%s: is gone: it says which files of %s were begun behind the last durable epoch. Put it back, or start "
                      "anew with --reset", begun, f->path);
  if (fd < 0) return failed(begun, fd, "cannot be opened", err);
  f->begun_fd = fd;
  *n = f->io->size(f->io, fd);
  *text = *n >= 0 && *n < BEGUN_MAX ? malloc((size_t)*n + 1) : NULL;
  if (*text == NULL) return tm_err_set(err, 1, "memory", "%s: no memory to read it", begun);
  return tm_io_read_all(f->io, fd, *text, (size_t)*n) == *n ? 0 : failed(begun, -EIO, "cannot be read", err);
}

/* What was begun behind what is kept goes: 0, or -1 err. Of a sink that is new nothing was; what lies there is of another time. */
static int take_back(struct tm_files *f, const char *begun, char *text, int64_t n, struct tm_err *err) {
  struct tm_files_state *st = f->mem.state;
  int64_t whole, lines, least = count_open(f, begun);
  int rc = 0;
  if (least < 0) return failed(begun, (int)least, "the file beside it that counts its lines cannot be opened", err);
  if (st->noted == 0) return 0;
  if (!head_get(text, n, &whole, &lines) || whole > n) return damaged(begun, 0, err);
  if (least < st->noted) least = st->noted;
  rc = lines_back(f, begun, text, n, whole, &lines, err);
  if (rc == 0 && lines < least)
    return tm_err_set(err, 1, "file-restore", "%s: is older than the run that is kept: it has had %lld lines, and %lld were written. Put the newer one "
                      "back, or start anew with --reset", begun, (long long)lines, (long long)least);
  if (rc == 0) rc = lines_back(f, begun, text, n, whole, NULL, err);
  for (int32_t i = 0; rc == 0 && i < st->files_n; i++) rc = next_is_free(f, begun, i, err);
  for (int32_t i = 0; rc == 0 && i < st->files_n; i++) rc = file_back(f, i, err);
  st->noted = lines;
  return rc;
}

/* The file without lines, on the disk and under its name. */
static int begin_anew(struct tm_files *f, const char *begun) {
  int is_new = f->mem.state->noted == 0, rc;
  if (is_new) f->mem.state->noted = 1;
  rc = lines_go(f);
  if (rc == 0) rc = count_put(f);
  return rc == 0 && is_new ? sync_folder(f, begun) : rc;
}

int tm_files_fresh(struct tm_files *f, const char *begun, struct tm_err *err) {
  char *text = NULL;
  int64_t n = 0;
  int rc = begun_read(f, begun, &text, &n, err);
  if (rc == 0) rc = take_back(f, begun, text, n, err);
  if (rc == 0 && (rc = begin_anew(f, begun)) != 0) rc = failed(begun, rc, "cannot be emptied", err);
  free(text);
  if (rc == 0) {
    f->begun_n = f->begun_cut = HEAD;
    return 0;
  }
  if (f->begun_fd >= 0) f->io->close(f->io, f->begun_fd);
  if (f->count_fd >= 0) f->io->close(f->io, f->count_fd);
  f->begun_fd = f->count_fd = -1;
  return rc;
}
