/* follow.c - the files of a source that grow (follow.h). */
#include "follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../base/owned.h"
#include "paths.h"

enum { LAST = 16, TOLD_MAX = 20, LOOK_MS = 1000, FILES_SPARE = 200 };

struct tm_follow {
  struct tm_follow_state *state;
  int fds[TM_FOLLOW_MAX];
  uint64_t moved_ns[TM_FOLLOW_MAX];   /* when it last was found to have grown, or to be gone */
  char seen[TM_FOLLOW_MAX];           /* in the look at names under way: a name leads to it */
  int notify;
  int names_changed;                  /* names are to be looked at */
  int final;                          /* the file at hand is read for the last time */
  int silent;                         /* the file at hand was taken since it is silent */
  int lingers;                        /* there was no more in the file at hand */
  int told;                           /* warnings given */
  uint64_t look_ns;                   /* when names were looked at */
  uint64_t asked_ns;                  /* when sizes were */
};

static uint64_t now_ns(const struct tm_source *s) { return s->io->mono_ns(s->io); }

static void tell(struct tm_follow *f, const char *path, const char *what, const char *why) {
  if (f->told++ >= TOLD_MAX) return;
  tm_log_warning("%s: %s%s%s", path, what, why != NULL ? ": " : "", why != NULL ? why : "");
}

/* ---- names ---- */

static int32_t find(const struct tm_follow *f, uint64_t dev, uint64_t ino) {
  for (int32_t i = 0; i < TM_FOLLOW_MAX; i++) {
    const struct tm_follow_file *file = &f->state->files[i];
    if (file->used && file->ino == ino && file->dev == dev) return i;
  }
  return -1;
}

int tm_follow_has(const struct tm_follow *f, uint64_t dev, uint64_t ino) { return find(f, dev, ino) >= 0; }

static void watch(const struct tm_follow *f, const char *path) {
  char dir[TM_FOLLOW_PATH];
  const char *slash = strrchr(path, '/');
  int n = slash == NULL ? 0 : slash == path ? 1 : (int)(slash - path);
  if (f->notify < 0 || n >= (int)sizeof dir) return;
  if (n > 0) memcpy(dir, path, (size_t)n);
  else dir[n++] = '.';
  dir[n] = '\0';
  inotify_add_watch(f->notify, dir, IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
}

static void forget(struct tm_source *s, int32_t i) {
  struct tm_follow *f = s->follow;
  if (f->fds[i] >= 0) s->io->close(s->io, f->fds[i]);
  f->fds[i] = -1;
  f->state->files[i].used = 0;
}

/* A file that is not in the table yet. 0, or -1 err. */
static int add(struct tm_source *s, const char *path, struct tm_err *err) {
  struct tm_follow *f = s->follow;
  struct stat st;
  int32_t i = 0;
  while (i < TM_FOLLOW_MAX && f->state->files[i].used) i++;
  if (i == TM_FOLLOW_MAX)
    return tm_err_set(err, 1, "follow", "%s: a source follows at most %d files; narrow the pattern", path, TM_FOLLOW_MAX);
  if (strlen(path) >= TM_FOLLOW_PATH)
    return tm_err_set(err, 1, "follow", "%.200s...: a name of more than %d bytes cannot be followed", path, TM_FOLLOW_PATH - 1);
  int fd = s->io->open(s->io, path, O_RDONLY | O_NONBLOCK, 0);
  if (fd == -ENOENT) return 0;
  if (fd < 0 || fstat(fd, &st) != 0) {
    tell(f, path, "cannot be read, and is tried again", strerror(fd < 0 ? -fd : errno));
    if (fd >= 0) s->io->close(s->io, fd);
    return 0;
  }
  if (s->is_written(s, (uint64_t)st.st_dev, (uint64_t)st.st_ino)) {
    s->io->close(s->io, fd);
    return tm_err_set(err, 3, "file-loop", "%s is both followed and written; write to a place that no pattern of a source leads to", path);
  }
  struct tm_follow_file *file = &f->state->files[i];
  memset(file, 0, sizeof *file);
  file->dev = (uint64_t)st.st_dev;
  file->ino = (uint64_t)st.st_ino;
  file->line = tm_format_of(s->batch)->first;
  memcpy(file->path, path, strlen(path) + 1);
  f->fds[i] = fd;
  f->seen[i] = 1;
  f->moved_ns[i] = now_ns(s);
  tm_undo_fence();
  file->used = 1;
  watch(f, path);
  return 0;
}

/* A name that leads to a file: a known one, perhaps under another name, or a new one. */
static int look_at(struct tm_source *s, const char *path, struct tm_err *err) {
  struct tm_follow *f = s->follow;
  struct stat st;
  if (stat(path, &st) != 0) return 0;
  if (!S_ISREG(st.st_mode)) {
    tell(f, path, "is no regular file and cannot be followed", NULL);
    return 0;
  }
  int32_t i = find(f, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
  if (i < 0) return add(s, path, err);
  f->seen[i] = 1;
  struct tm_follow_file *file = &f->state->files[i];
  if (strcmp(file->path, path) != 0 && strlen(path) < TM_FOLLOW_PATH) {
    tm_undo_keep(s->undo, file->path, sizeof file->path);
    memcpy(file->path, path, strlen(path) + 1);
    tm_undo_done(s->undo);
  }
  return 0;
}

/* Looks at what the source's names lead to now. 0, or -1 err. */
static int look(struct tm_source *s, struct tm_err *err) {
  struct tm_follow *f = s->follow;
  f->names_changed = 0;
  f->look_ns = now_ns(s);
  memset(f->seen, 0, sizeof f->seen);
  for (int32_t k = 0; k < s->paths_n; k++) {
    struct tm_buf list;
    int32_t files = 0;
    struct stat st;
    tm_buf_init(&list, INT32_MAX / 2);
    watch(f, s->paths[k]);
    int rc = tm_paths_find(&s->paths[k], 1, &list, &files, NULL) == 0 ? 0 : 1;  /* nothing there yet */
    const char *path = list.data;
    for (int32_t i = 0; rc == 0 && i < files; i++, path += strlen(path) + 1) rc = look_at(s, path + 1, err);
    if (rc >= 0 && stat(s->paths[k], &st) == 0 && S_ISDIR(st.st_mode)) {
      char inside[TM_FOLLOW_PATH + 2];
      snprintf(inside, sizeof inside, "%s/.", s->paths[k]);
      watch(f, inside);
    }
    tm_buf_fini(&list);
    if (rc < 0) return -1;
  }
  for (int32_t i = 0; i < TM_FOLLOW_MAX; i++) {
    struct tm_follow_file *file = &f->state->files[i];
    if (!file->used || file->gone == !f->seen[i]) continue;
    file->gone = !f->seen[i];
    f->moved_ns[i] = f->look_ns;
  }
  return 0;
}

/* ---- after a death ---- */

/* A renamed file is looked for in its folder. */
static int open_by_inode(struct tm_source *s, struct tm_follow_file *file) {
  char dir[TM_FOLLOW_PATH], path[TM_FOLLOW_PATH + 300];
  const char *slash = strrchr(file->path, '/');
  struct dirent *entry;
  struct stat st;
  int fd = -ENOENT;
  snprintf(dir, sizeof dir, "%.*s", slash == NULL ? 1 : (int)(slash - file->path) + 1, slash == NULL ? "." : file->path);
  DIR *d = opendir(dir);
  if (d == NULL) return fd;
  while (fd < 0 && (entry = readdir(d)) != NULL) {
    if ((uint64_t)entry->d_ino != file->ino) continue;
    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
    fd = s->io->open(s->io, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd >= 0 && (fstat(fd, &st) != 0 || (uint64_t)st.st_dev != file->dev || (uint64_t)st.st_ino != file->ino)) {
      s->io->close(s->io, fd);
      fd = -ENOENT;
    }
  }
  closedir(d);
  return fd;
}

static void take_up(struct tm_source *s, int32_t i) {
  struct tm_follow *f = s->follow;
  struct tm_follow_file *file = &f->state->files[i];
  struct stat st;
  int fd = s->io->open(s->io, file->path, O_RDONLY | O_NONBLOCK, 0);
  if (fd >= 0 && (fstat(fd, &st) != 0 || (uint64_t)st.st_dev != file->dev || (uint64_t)st.st_ino != file->ino)) {
    s->io->close(s->io, fd);
    fd = -ENOENT;
  }
  if (fd < 0) fd = open_by_inode(s, file);
  f->fds[i] = fd;
  f->moved_ns[i] = now_ns(s);
  if (fd >= 0) return;
  tm_log_warning("%s: was removed, and the worker that held it open has died: what was not read of it is lost", file->path);
  if (f->state->at == i + 1) {  /* what was read of it is whole lines and a rest */
    s->state->eof = TM_EOF_CUT;
    return;
  }
  file->used = 0;
}

/* Every file is held open, as a name may be gone the next moment. */
static void raise_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= TM_FOLLOW_MAX + FILES_SPARE) return;
  files.rlim_cur = files.rlim_max > TM_FOLLOW_MAX + FILES_SPARE ? TM_FOLLOW_MAX + FILES_SPARE : files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

struct tm_follow *tm_follow_open(struct tm_source *s, struct tm_follow_state *state, struct tm_err *err) {
  struct tm_follow *f = tm_owned_calloc(1, sizeof *f);
  if (f == NULL) {
    tm_err_set(err, 1, "memory", "no memory for the files that are followed");
    return NULL;
  }
  f->state = state;
  s->follow = f;
  raise_limit();
  f->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  for (int32_t i = 0; i < TM_FOLLOW_MAX; i++) {
    f->fds[i] = -1;
    if (state->files[i].used) take_up(s, i);
    if (state->files[i].used) watch(f, state->files[i].path);
  }
  if (state->at > 0) {
    s->fd = f->fds[state->at - 1];
    if (s->fd >= 0) lseek(s->fd, s->state->offset, SEEK_SET);
  }
  if (look(s, err) != 0) return NULL;
  int32_t known = 0;
  for (int32_t i = 0; i < TM_FOLLOW_MAX; i++) known += state->files[i].used;
  if (known == 0) tm_log_info("%s: nothing is there yet; it is read as soon as it is", s->name);
  return f;
}

/* ---- growing ---- */

/* What inotify has to say: sizes are looked at anyway, names if one of them may have changed. */
static void hear(struct tm_follow *f) {
  _Alignas(struct inotify_event) char text[4096];
  ssize_t n;
  while (f->notify >= 0 && (n = read(f->notify, text, sizeof text)) > 0) {
    const struct inotify_event *e;
    for (char *p = text; p < text + n; p += sizeof *e + e->len) {
      e = (const struct inotify_event *)(void *)p;
      if (e->mask & ~(uint32_t)IN_MODIFY) f->names_changed = 1;
    }
  }
}

static void begin_anew(struct tm_source *s, struct tm_follow_file *file) {
  tm_log_info("%s: was truncated; it is read from its start", file->path);
  if (file->held)
    tm_log_warning("%s: its last record was still open, as no start of another followed, and is lost with what was truncated", file->path);
  tm_undo_keep(s->undo, file, offsetof(struct tm_follow_file, path));
  file->offset = file->seen = 0;
  file->line = tm_format_of(s->batch)->first;
  file->begun = file->looked = file->skipping = file->left_out = file->held = file->last_n = 0;
  file->at = (struct tm_fluent_at){0};
  tm_undo_done(s->undo);
}

/* Was it written anew below what was read? */
static int is_another(const struct tm_follow_file *file, int fd, int64_t size) {
  char last[LAST];
  if (size < file->offset) return 1;
  return file->last_n > 0 && (pread(fd, last, (size_t)file->last_n, file->last_at - file->last_n) != file->last_n ||
                              memcmp(last, file->last, (size_t)file->last_n) != 0);
}

enum news { NEWS_NONE, NEWS_MORE, NEWS_FINAL, NEWS_SILENT };

/* When the record it holds is ended, if nothing comes; 0 it holds none. */
static uint64_t silent_at(const struct tm_source *s, int32_t i) {
  const struct tm_follow *f = s->follow;
  const struct tm_follow_file *file = &f->state->files[i];
  const struct tm_record *record = tm_source_record(s);
  if (!file->used || !file->held || file->left_out || record == NULL) return 0;
  return f->moved_ns[i] + (uint64_t)(record->timeout_ms * 1e6);
}

/* Is there something to be read of file i? */
static enum news has_news(struct tm_source *s, int32_t i, uint64_t now) {
  struct tm_follow *f = s->follow;
  struct tm_follow_file *file = &f->state->files[i];
  struct stat st;
  if (f->fds[i] < 0 || fstat(f->fds[i], &st) != 0) return NEWS_NONE;
  if (st.st_size != file->seen && is_another(file, f->fds[i], st.st_size)) {
    if (i == f->state->at - 1) return NEWS_SILENT;  /* what was read of it first */
    begin_anew(s, file);
  }
  if (st.st_size > file->seen && !file->left_out) {
    f->moved_ns[i] = now;
    return NEWS_MORE;
  }
  if (silent_at(s, i) > 0 && now >= silent_at(s, i)) return NEWS_SILENT;
  if (!file->gone || now - f->moved_ns[i] < (uint64_t)TM_FOLLOW_QUIET_S * 1000000000U) return NEWS_NONE;
  if (file->seen > file->offset && !file->left_out) return NEWS_FINAL;
  forget(s, i);
  return NEWS_NONE;
}

/* i becomes the file at hand. */
static void take(struct tm_source *s, int32_t i) {
  struct tm_follow *f = s->follow;
  const struct tm_follow_file *file = &f->state->files[i];
  struct tm_source_state *st = s->state;
  tm_undo_keep(s->undo, st, sizeof *st);
  tm_undo_keep(s->undo, &f->state->at, 2 * sizeof f->state->at);
  f->state->at = i + 1;
  f->state->next = (i + 1) % TM_FOLLOW_MAX;
  st->offset = file->offset;
  st->line = file->line;
  st->begun = file->begun;
  st->looked = file->looked;
  st->skipping = file->skipping;
  st->skip = file->skip;
  st->at = file->at;
  st->eof = TM_EOF_NOT;
  tm_undo_done(s->undo);
  lseek(f->fds[i], file->offset, SEEK_SET);
  s->fd = f->fds[i];
}

/* What is known of the file at hand, as far as it was cut. Part of a change under way. Bytes that were noted are noted once, as the file
 * may have been written anew since. */
static void note(struct tm_source *s, struct tm_follow_file *file, int left_out) {
  const struct tm_source_state *st = s->state;
  int64_t offset = st->offset - (st->tail - st->head), end;
  tm_undo_keep(s->undo, file, offsetof(struct tm_follow_file, path));
  file->held = tm_source_holds(s);
  end = file->held ? st->offset : offset;
  if (file->last_n == 0 || file->last_at < end) {
    file->last_n = end < LAST ? (int32_t)end : LAST;
    file->last_at = end;
    if (pread(s->fd, file->last, (size_t)file->last_n, end - file->last_n) != file->last_n) file->last_n = 0;
  }
  if (st->offset > file->seen) s->follow->moved_ns[file - s->follow->state->files] = now_ns(s);
  file->offset = offset;
  file->seen = st->offset;
  file->line = st->line;
  file->begun = st->begun;
  file->looked = st->looked;
  file->skipping = st->skipping;
  file->skip = st->skip;
  file->at = st->at;
  file->left_out = left_out;
}

static void leave(struct tm_source *s, int left_out) {
  struct tm_follow *f = s->follow;
  struct tm_source_state *st = s->state;
  tm_undo_keep(s->undo, st, sizeof *st);
  tm_undo_keep(s->undo, &f->state->at, sizeof f->state->at);
  note(s, &f->state->files[f->state->at - 1], left_out);
  st->tail = st->head;
  f->state->at = 0;
  tm_undo_done(s->undo);
  f->lingers = 0;
  s->buf.len = st->tail;
  tm_source_forget(s);
  s->fd = -1;
}

int tm_follow_pick(struct tm_source *s, struct tm_err *err) {
  struct tm_follow *f = s->follow;
  int32_t found = -1;
  enum news news = NEWS_NONE;
  f->asked_ns = now_ns(s);
  hear(f);
  if ((f->names_changed || f->asked_ns - f->look_ns >= (uint64_t)LOOK_MS * 1000000U) && look(s, err) != 0) return -1;
  uint64_t now = now_ns(s);  /* behind what look() notes */
  f->final = f->silent = 0;
  /* old ones first: what they hold was written before */
  for (int pass = 0; pass < 2 && found < 0; pass++) {
    for (int32_t k = 0; k < TM_FOLLOW_MAX && found < 0; k++) {
      int32_t i = pass == 0 ? k : (f->state->next + k) % TM_FOLLOW_MAX;
      if (!f->state->files[i].used || f->state->files[i].gone != (pass == 0)) continue;
      news = has_news(s, i, now);
      if (news != NEWS_NONE) found = i;
    }
  }
  if (found < 0) return 0;
  f->final = news == NEWS_FINAL;
  if (found == f->state->at - 1) {
    f->lingers = news == NEWS_SILENT;
    return news == NEWS_SILENT ? TM_FOLLOW_ENDS : 1;
  }
  if (f->state->at > 0) leave(s, 0);
  f->silent = news == NEWS_SILENT;
  take(s, found);
  return 1;
}
int64_t tm_follow_pick_held(struct tm_source *s) {
  const struct tm_follow *f = s->follow;
  if (f->state->at > 0) leave(s, 0);
  for (int32_t i = 0; i < TM_FOLLOW_MAX; i++) {
    const struct tm_follow_file *file = &f->state->files[i];
    if (!file->used || !file->held || file->left_out || f->fds[i] < 0) continue;
    take(s, i);
    return file->seen - file->offset;
  }
  return 0;
}

int tm_follow_advanced(const struct tm_source *s) {
  const struct tm_follow_state *f = s->follow->state;
  return s->state->offset - (s->state->tail - s->state->head) > f->files[f->at - 1].offset;
}

int tm_follow_leave(struct tm_source *s) {
  if (s->follow->final) return 0;
  leave(s, 0);
  return 1;
}

int tm_follow_linger(struct tm_source *s) {
  struct tm_follow *f = s->follow;
  if (f->final) return 0;
  note(s, &f->state->files[f->state->at - 1], 0);
  tm_undo_done(s->undo);
  f->lingers = 1;
  return 1;
}

int tm_follow_lingers(const struct tm_follow *f) { return f->lingers; }

int tm_follow_is_silent(const struct tm_source *s) {
  const struct tm_follow *f = s->follow;
  return f->silent && s->state->offset == f->state->files[f->state->at - 1].seen;
}

void tm_follow_done(struct tm_source *s) {
  struct tm_follow *f = s->follow;
  int32_t i = f->state->at - 1;
  struct tm_follow_file *file = &f->state->files[i];
  tm_undo_keep(s->undo, &f->state->at, sizeof f->state->at);
  tm_undo_keep(s->undo, file, offsetof(struct tm_follow_file, path));
  if (f->final || s->fd < 0) {
    forget(s, i);
  } else {
    file->left_out = 1;
    file->offset = file->seen = s->state->offset;
    file->held = file->last_n = 0;
  }
  f->state->at = 0;
  f->final = f->lingers = 0;
  s->state->eof = TM_EOF_NOT;
  s->fd = -1;
}

void tm_follow_refuse(struct tm_source *s) {
  struct tm_follow *f = s->follow;
  tell(f, tm_follow_name(f), "is compressed and not followed: most likely a copy of what was read; read it without follow", NULL);
  leave(s, 1);
}

int tm_follow_fd(const struct tm_follow *f) { return f->notify; }

uint64_t tm_follow_due(const struct tm_source *s) {
  const struct tm_follow *f = s->follow;
  uint64_t due = f->asked_ns + (uint64_t)(f->notify >= 0 ? LOOK_MS : TM_FOLLOW_POLL_MS) * 1000000U;
  for (int32_t i = 0; i < TM_FOLLOW_MAX && tm_source_record(s) != NULL; i++) {
    uint64_t silent = silent_at(s, i);
    if (silent > 0 && silent < due) due = silent;
  }
  return due;
}

const char *tm_follow_name(const struct tm_follow *f) { return f->state->at > 0 ? f->state->files[f->state->at - 1].path : NULL; }
