/* files_roll.c - names, opening and completing of the files of a sink (files.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"
#include "files_state.h"

enum { NAME_ROOM = TM_FILES_NAME_ROOM, REJECTED = 3, DIGITS = 6 };
static const char part[] = ".part";

static int is_rolled(const struct tm_files *f) { return f->how.roll_size > 0 || f->how.roll_every_ms > 0; }

int tm_file_refused(struct tm_files *f, int why, const char *what, int *refused, struct tm_err *err) {
  if (why == ENOSPC || why == EDQUOT || why == EROFS || why == EMFILE || why == ENFILE) {
    *refused = why;
    return 0;
  }
  return tm_err_set(err, 1, "write", "%s: %s: %s", tm_files_name(f), what, strerror(why));
}

/* ---- names ---- */

/* Where the number goes: before the extension, and before that of compression. */
static const char *extension(const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  const char *end = name + strlen(name), *dot = NULL;
  for (const char *p = end; p > name + 1; p--) {
    if (p[-1] != '.') continue;
    if (dot == NULL && (strcmp(p - 1, ".gz") == 0 || strcmp(p - 1, ".zst") == 0)) {
      dot = p - 1;
      continue;
    }
    return p - 1;
  }
  return dot != NULL ? dot : end;
}

void tm_file_rolled_name(const char *path, int32_t number, int complete, char *out) {
  const char *ext = extension(path);
  snprintf(out, NAME_ROOM, "%.*s-%0*d%s%s", (int)(ext - path), path, DIGITS, number, ext, complete ? "" : part);
}

/* The name under which file i lies now. */
static const char *name_now(const struct tm_files *f, int32_t i, char *out) {
  if (!is_rolled(f)) return tm_file_path(f, i);
  tm_file_rolled_name(tm_file_path(f, i), f->mem.state->files[i].number, 0, out);
  return out;
}

static void folder_of(const char *path, char *out) {
  const char *slash = strrchr(path, '/');
  snprintf(out, NAME_ROOM, "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path), slash == NULL ? "." : path);
}

/* 0, or the errno. */
static int make_folders(const struct tm_files *f, const char *path) {
  char dir[NAME_ROOM];
  snprintf(dir, sizeof dir, "%s", path);
  for (char *p = strchr(dir + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
    *p = '\0';
    int rc = f->io->mkdir(f->io, dir, 0777);
    struct stat st;
    if (rc != 0 && rc != -EEXIST && (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))) return -rc;
    *p = '/';
  }
  return 0;
}

/* The number behind the last one there, of complete files and of those that a run before left behind. */
static int32_t next_number(const char *path) {
  char dir[NAME_ROOM];
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path, *ext = extension(path);
  size_t stem = (size_t)(ext - name);
  const struct dirent *e;
  long last = 0;
  folder_of(path, dir);
  DIR *d = opendir(dir);
  if (d == NULL) return 1;
  while ((e = readdir(d)) != NULL) {
    char *end;
    if (strncmp(e->d_name, name, stem) != 0 || e->d_name[stem] != '-') continue;
    long n = strtol(e->d_name + stem + 1, &end, 10);
    if (strncmp(end, ext, strlen(ext)) != 0 || (end[strlen(ext)] != '\0' && strcmp(end + strlen(ext), part) != 0)) continue;
    if (n > last && n < INT32_MAX) last = n;
    if (strcmp(end + strlen(ext), part) == 0)
      tm_log_warning("%s/%s: was left behind by a run that did not end in order; it stays as it is", dir, e->d_name);
  }
  closedir(d);
  return (int32_t)last + 1;
}

/* ---- opening ---- */

static void close_at(struct tm_files *f, int32_t k) {
  int32_t i = f->open[k];
  int rc = f->begun_fd >= 0 ? f->io->fdatasync(f->io, f->fds[i]) : 0;  /* the epoch that counts its bytes cannot */
  if (rc != 0) f->unsynced = -rc;
  f->io->close(f->io, f->fds[i]);
  f->fds[i] = -1;
  memmove(f->open + k, f->open + k + 1, (size_t)(f->open_n - k - 1) * sizeof *f->open);
  f->open_n--;
}

static void close_file(struct tm_files *f, int32_t i) {
  for (int32_t k = 0; k < f->open_n; k++)
    if (f->open[k] == i) close_at(f, k--);
}

/* Moves it to the end of the list of those in use; a new one takes the place of the one not used for longest. */
static void used(struct tm_files *f, int32_t i) {
  int32_t k = 0;
  while (k < f->open_n && f->open[k] != i) k++;
  if (k < f->open_n) {
    memmove(f->open + k, f->open + k + 1, (size_t)(f->open_n - k - 1) * sizeof *f->open);
    f->open_n--;
  } else if (f->open_n == TM_FILES_OPEN) {
    close_at(f, 0);
  }
  f->open[f->open_n++] = i;
}

/* Its descriptor, or -errno. */
static int open_file(struct tm_files *f, int32_t i, int flags) {
  char name[NAME_ROOM];
  if (f->fds[i] < 0) {
    int fd = f->io->open(f->io, name_now(f, i, name), O_WRONLY | O_APPEND | O_NONBLOCK | flags, 0644);
    if ((fd == -EMFILE || fd == -ENFILE) && f->open_n > 0) {
      close_at(f, 0);
      return open_file(f, i, flags);
    }
    if (fd < 0) return fd;
    f->fds[i] = fd;
  }
  used(f, i);
  return f->fds[i];
}

/* A file begins: its number is chosen before anything of it is made, so that a death in between chooses no other. */
static int begin_file(struct tm_files *f, int32_t i, int *refused, struct tm_err *err) {
  struct tm_file *file = &f->mem.state->files[i];
  int why = f->template != NULL || is_rolled(f) ? make_folders(f, tm_file_path(f, i)) : 0;
  if (why != 0) return tm_file_refused(f, why, "its folder cannot be made", refused, err);
  int32_t number = !is_rolled(f) ? 0 : file->number > 0 ? file->number + 1 : next_number(tm_file_path(f, i));
  tm_undo_keep(f->undo, file, sizeof *file);
  file->number = number;
  file->size = -1;
  file->text = 0;
  file->tail.n = 0;
  file->period = f->how.roll_every_ms > 0 ? f->io->real_ms(f->io) / (int64_t)f->how.roll_every_ms : 0;
  file->open = 1;
  tm_undo_done(f->undo);
  return 1;
}

int tm_file_ready(struct tm_files *f, int32_t i, int *refused, struct tm_err *err) {
  struct tm_file *file = &f->mem.state->files[i];
  if (!file->open) {
    int rc = begin_file(f, i, refused, err);
    if (rc <= 0) return rc;
  }
  if (file->size >= 0 && f->fds[i] >= 0) {
    used(f, i);
    return 1;
  }
  /* what was there and is there no more has lost rows; going on as if nothing had happened would hide it */
  int rc = 0, made = 0, fd = open_file(f, i, 0);
  if (fd == -ENOENT && file->size < 0) {
    made = 1;
    rc = tm_files_begun(f, i, -1);  /* before it is there: an empty one that nobody knows would keep its number */
    if (rc == 0) fd = open_file(f, i, O_CREAT);
  }
  if (rc == 0 && fd < 0) return tm_file_refused(f, -fd, "cannot be written", refused, err);
  if (file->size >= 0) return 1;
  int64_t size = rc == 0 ? f->io->size(f->io, fd) : 0;
  if (size < 0) return tm_err_set(err, 1, "file-open", "%s: is no regular file; rolled and compressed output, and paths with fields, need one", tm_files_name(f));
  if (rc == 0 && !made) rc = tm_files_begun(f, i, size);
  if (rc != 0) return tm_file_refused(f, -rc, "cannot be noted in the data folder", refused, err);
  tm_undo_fence();
  file->size = size;
  return 1;
}

int tm_file_try(struct tm_files *f, struct tm_err *err) {
  char dir[NAME_ROOM];
  int refused = 0;
  if (f->mem.state->files_n > 0) return 0;
  if (f->template != NULL) return 0;
  if (!is_rolled(f)) {
    int fd = f->io->open(f->io, f->path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0644);
    if (fd >= 0 && f->io->size(f->io, fd) < 0) {
      f->io->close(f->io, fd);
      return tm_err_set(err, REJECTED, "file-open", "%s: is no regular file; compressed output needs one", f->path);
    }
    if (fd < 0) return tm_err_set(err, REJECTED, "file-open", "%s: cannot be written: %s", f->path, strerror(-fd));
    f->io->close(f->io, fd);
    return 0;
  }
  refused = make_folders(f, f->path);
  folder_of(f->path, dir);
  if (refused == 0 && access(dir, W_OK | X_OK) != 0) refused = errno;
  if (refused != 0) return tm_err_set(err, REJECTED, "file-open", "%s: cannot be written: %s: %s", f->path, dir, strerror(refused));
  return 0;
}

/* ---- completing ---- */

int tm_file_complete(struct tm_files *f, int32_t i, int *refused, struct tm_err *err) {
  struct tm_file *file = &f->mem.state->files[i];
  char now[NAME_ROOM], then[NAME_ROOM];
  if (!file->open || file->size < 0) return 1;
  tm_file_rolled_name(tm_file_path(f, i), file->number, 0, now);
  tm_file_rolled_name(tm_file_path(f, i), file->number, 1, then);
  int rc = open_file(f, i, 0);
  if (rc == -ENOENT && access(then, F_OK) == 0) {
    rc = 0;  /* a worker died when it had renamed it */
  } else {
    if (rc >= 0) rc = f->io->fdatasync(f->io, rc);
    if (rc == 0) rc = f->io->rename(f->io, now, then);
  }
  folder_of(then, now);
  if (rc == 0) rc = f->io->fsync_dir(f->io, now);
  if (rc < 0) return tm_file_refused(f, -rc, "cannot be completed", refused, err);
  close_file(f, i);
  tm_undo_keep(f->undo, file, sizeof *file);
  file->open = 0;
  file->size = -1;
  file->text = 0;
  tm_undo_done(f->undo);
  return 1;
}

int tm_file_unfinished(const struct tm_files *f) {
  return f->how.pack != TM_PACK_NOT && f->template == NULL && !is_rolled(f) && !f->finished;
}

int tm_file_finish(struct tm_files *f, int *refused, struct tm_err *err) {
  char nothing[128];
  int fd = f->io->open(f->io, f->path, O_WRONLY | O_APPEND | O_CREAT, 0644);
  int64_t rc = fd < 0 ? fd : f->io->size(f->io, fd);
  if (rc == 0) {
    int32_t n = tm_pack(f->how.pack, nothing, sizeof nothing, "", 0);
    if (n > 0) rc = f->io->write(f->io, fd, nothing, (size_t)n);
  }
  if (fd >= 0) f->io->close(f->io, fd);
  if (rc < 0) return tm_file_refused(f, (int)-rc, "cannot write", refused, err);
  f->finished = 1;
  return 1;
}

int64_t tm_file_size(struct tm_files *f, int32_t i) {
  int fd = open_file(f, i, 0);
  return fd < 0 ? -1 : f->io->size(f->io, fd);
}
