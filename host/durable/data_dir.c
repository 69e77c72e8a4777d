/* data_dir.c - opening a data folder: what it must be, its lock, its version, its meta; data_dir.h says what lies in it. */
#include "data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record.h"

enum { USAGE = 2, FAILED = 1, TEXT_MAX = 64 };
static const char version_prefix[] = "tidemill data ";

/* What lies in the folder. */
struct content {
  int version, others, journal, meta, resetting;
};

static int content_add(void *ctx, const char *name) {
  struct content *c = ctx;

  if (strcmp(name, "version") == 0) c->version = 1;
  else if (strcmp(name, "lock") != 0 && strcmp(name, "version.new") != 0 && strcmp(name, "lost+found") != 0) c->others = 1;
  if (strcmp(name, "meta") == 0) c->meta = 1;
  if (strcmp(name, TM_DATA_RESETTING) == 0) c->resetting = 1;
  if (strncmp(name, "journal.0", 9) == 0 || strncmp(name, "snapshot.0", 10) == 0) c->journal = 1;
  return 0;
}

static int failed(struct tm_err *err, int exit_code, const char *what, const char *path, int64_t code) {
  return tm_err_set(err, exit_code, "data-io", "cannot %s %.400s: %s", what, path, strerror((int)-code));
}

/* The folder that holds the path's last name, for syncing. */
static void parent_of(const char *path, char *out) {
  const char *slash;
  size_t n = strlen(path);

  while (n > 1 && path[n - 1] == '/') n--;
  snprintf(out, TM_DATA_PATH_MAX + 1, "%.*s", (int)n, path);
  slash = strrchr(out, '/');
  if (slash == NULL) snprintf(out, TM_DATA_PATH_MAX + 1, ".");
  else out[slash == out ? 1 : slash - out] = '\0';
}

/* The folder is there, or made: 0, or -1 with err. */
static int folder_check(struct tm_data_dir *d, int uses, struct tm_err *err) {
  char parent[TM_DATA_PATH_MAX + 1];
  struct tm_io_look look;
  int r = d->io->look(d->io, d->path, &look);

  if (r == -ENOENT && uses) {
    r = d->io->mkdir(d->io, d->path, 0700);
    if (r < 0) return failed(err, USAGE, "make the data folder", d->path, r);
    parent_of(d->path, parent);
    r = d->io->fsync_dir(d->io, parent);
    if (r < 0) return failed(err, FAILED, "sync the folder", parent, r);
    r = d->io->look(d->io, d->path, &look);
  }
  if (r == -ENOENT)
    return tm_err_set(err, USAGE, "data-missing", "there is no data folder %.400s: give the folder that 'tidemill run --data' was given",
                      d->path);
  if (r < 0) return failed(err, USAGE, "look at the data folder", d->path, r);
  if (!look.is_dir) return tm_err_set(err, USAGE, "data-file", "%.400s is not a folder: name a folder, or one that does not exist yet", d->path);
  if (!look.mine)
    return tm_err_set(err, USAGE, "data-owner", "the data folder %.400s belongs to another user: run as its owner, or name another folder", d->path);
  return 0;
}

/* A small file of the folder into out, with a zero behind it: its length, -ENOENT or another -errno. */
static int64_t text_read(const struct tm_data_dir *d, const char *name, char *out, size_t size) {
  char path[TM_DATA_PATH_MAX + 64];
  int fd = tm_io_open(d->io, tm_data_path(d->path, name, path), O_RDONLY, 0);
  int64_t n;

  if (fd < 0) return fd;
  n = tm_io_pread_all(d->io, fd, out, size - 1, 0);
  d->io->close(d->io, fd);
  if (n >= 0) out[n] = '\0';
  return n;
}

static int version_check(const struct tm_data_dir *d, struct tm_err *err) {
  char text[TEXT_MAX], *end;
  int64_t n = text_read(d, "version", text, sizeof text);
  size_t prefix = sizeof version_prefix - 1;
  unsigned long v;

  if (n < 0) return failed(err, FAILED, "read the version of the data folder", d->path, n);
  if (strncmp(text, version_prefix, prefix) != 0 || text[prefix] < '1' || text[prefix] > '9') goto broken;
  v = strtoul(text + prefix, &end, 10);
  if (strcmp(end, "\n") != 0) goto broken;
  if (v > TM_DATA_VERSION)
    return tm_err_set(err, FAILED, "data-newer", "the data folder %.400s was written by a newer tidemill (its format is %lu, this version knows "
                      "up to %d): use that version, or another folder", d->path, v, TM_DATA_VERSION);
  return 0;
broken:
  return tm_err_set(err, FAILED, "data-version", "the file 'version' of the data folder %.400s is damaged: expected '%s%d' and a newline. Put "
                    "back a copy of the folder", d->path, version_prefix, TM_DATA_VERSION);
}

/* The process that wrote its number into a lock file, or 0. */
static int lock_owner(const struct tm_data_dir *d, const char *name) {
  char text[TEXT_MAX];

  return text_read(d, name, text, sizeof text) > 0 ? (int)strtol(text, NULL, 10) : 0;
}

static int lock_take(struct tm_data_dir *d, struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64], text[TEXT_MAX];
  int r, fd = tm_io_open(d->io, tm_data_path(d->path, "lock", path), O_RDWR | O_CREAT, 0600);

  if (fd < 0)
    return tm_err_set(err, USAGE, "data-write", "cannot write to the data folder %.400s: %s. Name a folder that this user may write to", d->path,
                      strerror(-fd));
  r = d->io->lock(d->io, fd);
  if (r == -EWOULDBLOCK) {
    d->io->close(d->io, fd);
    return tm_err_set(err, USAGE, "data-in-use", "the data folder %.400s is in use by process %d: end that one first, or name another folder",
                      d->path, lock_owner(d, "lock"));
  }
  snprintf(text, sizeof text, "%d\n", (int)getpid());
  if (r == 0) r = d->io->ftruncate(d->io, fd, 0);
  if (r == 0) r = tm_io_pwrite_all(d->io, fd, text, strlen(text), 0);
  if (r < 0 && !tm_data_is_no_room(r)) {  /* the number is for people only */
    d->io->close(d->io, fd);
    return failed(err, FAILED, "lock", path, r);
  }
  d->lock_fd = fd;
  return 0;
}

/* Who uses the folder, without taking it. */
static void lock_look(struct tm_data_dir *d) {
  char path[TM_DATA_PATH_MAX + 64];
  int fd = tm_io_open(d->io, tm_data_path(d->path, "lock", path), O_RDONLY, 0);

  if (fd < 0) return;
  if (d->io->lock(d->io, fd) == -EWOULDBLOCK) d->in_use_by = lock_owner(d, "lock");
  d->io->close(d->io, fd);
}

/* No process of an earlier life makes a snapshot, and what was being written is gone: 0, or -1 with err. */
static int leftovers_remove(const struct tm_data_dir *d, struct tm_err *err) {
  static const char *const names[] = { "version.new", "meta.new", "manifest.new", "snapshot.new", "journal.new", "durable.new" };
  char path[TM_DATA_PATH_MAX + 64];
  int fd = tm_io_open(d->io, tm_data_path(d->path, "snapshot.lock", path), O_RDWR, 0), r;

  if (fd >= 0) {
    r = d->io->lock(d->io, fd);
    d->io->close(d->io, fd);
    if (r == -EWOULDBLOCK)
      return tm_err_set(err, FAILED, "data-in-use", "a snapshot of the data folder %.400s is still being made, by process %d: wait until that "
                        "has ended", d->path, lock_owner(d, "snapshot.lock"));
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    r = d->io->unlink(d->io, tm_data_path(d->path, names[i], path));
    if (r < 0 && r != -ENOENT) return failed(err, FAILED, "remove", path, r);
  }
  return 0;
}

/* ---- meta ------------------------------------------------------------------------------- */

static int meta_damaged(const struct tm_data_dir *d, struct tm_err *err) {
  return tm_err_set(err, FAILED, "data-meta", "the file 'meta' of the data folder %.400s is damaged: nothing in the folder can be used without it. "
                    "Put back a copy of it; it never changes", d->path);
}

/* What a body of meta says: 0, or -1 with err. */
static int meta_take(struct tm_data_dir *d, const unsigned char *body, uint32_t n, struct tm_err *err) {
  const unsigned char *caller;
  uint32_t caller_n;
  uint64_t version;

  if (!tm_map_has_text(body, n, "format", "tidemill meta") || !tm_map_get_number(body, n, "version", &version) ||
      version != TM_DATA_VERSION || !tm_map_get_number(body, n, "id", &d->id) || !tm_map_get_number(body, n, "address", &d->address) ||
      !tm_map_get_number(body, n, "seed", &d->seed) || !tm_map_get_bytes(body, n, "caller", &caller, &caller_n) || d->id == 0)
    return meta_damaged(d, err);
  d->caller = d->io->memory(d->io, NULL, caller_n + 1);
  if (d->caller == NULL) return tm_err_set(err, FAILED, "no-memory", "no memory to read the data folder %.400s", d->path);
  memcpy(d->caller, caller, caller_n);
  d->caller_n = (int32_t)caller_n;
  d->has_meta = 1;
  return 0;
}

static int meta_read(struct tm_data_dir *d, int expected, struct tm_err *err) {
  enum { MAX = TM_RECORD_HEAD + TM_DATA_CALLER_MAX + TM_MAP_ROOM + 1 };
  char *text = d->io->memory(d->io, NULL, MAX);
  const unsigned char *bytes = (const unsigned char *)text;
  struct tm_record record;
  int64_t n;
  int r = 0;

  if (text == NULL) return tm_err_set(err, FAILED, "no-memory", "no memory to read the data folder %.400s", d->path);
  n = text_read(d, "meta", text, MAX);
  if (n == -ENOENT && expected)
    r = tm_err_set(err, FAILED, "data-meta", "the file 'meta' of the data folder %.400s is missing: nothing in the folder can be used without it. "
                   "Put back a copy of it; it never changes", d->path);
  else if (n == -ENOENT) r = 0;
  else if (n < 0) r = failed(err, FAILED, "read the meta of the data folder", d->path, n);
  else if (n < TM_RECORD_HEAD || !tm_record_read(bytes, &record) || record.type != 'D' || record.offset != 0 ||
           record.length != n - TM_RECORD_HEAD || !tm_record_fits(bytes, &record, bytes + TM_RECORD_HEAD))
    r = meta_damaged(d, err);
  else r = meta_take(d, bytes + TM_RECORD_HEAD, record.length, err);
  d->io->memory(d->io, text, 0);
  return r;
}

int tm_data_dir_meta_write(struct tm_data_dir *d, uint64_t address, uint64_t seed, const void *caller, int32_t n,
                           struct tm_err *err) {
  unsigned char *bytes = d->io->memory(d->io, NULL, TM_RECORD_HEAD + TM_MAP_ROOM + TM_DATA_CALLER_MAX), *body, *p;
  uint64_t id = 0;
  int r = 0;

  TM_ASSERT(!d->has_meta && n >= 0 && n <= TM_DATA_CALLER_MAX);
  if (bytes == NULL) return tm_err_set(err, FAILED, "no-memory", "no memory to write to the data folder %.400s", d->path);
  while (id == 0 && r == 0) r = d->io->random(d->io, &id, sizeof id);
  if (r < 0) {
    r = failed(err, FAILED, "get random bytes for", d->path, r);
    goto end;
  }
  body = bytes + TM_RECORD_HEAD;
  p = tm_map_begin(body, 6);
  p = tm_map_text(p, "format", "tidemill meta");
  p = tm_map_number(p, "version", TM_DATA_VERSION);
  p = tm_map_number(p, "id", id);
  p = tm_map_number(p, "address", address);
  p = tm_map_number(p, "seed", seed);
  p = tm_map_bytes(p, "caller", caller, (uint32_t)n);
  tm_record_write(bytes, 'D', 0, body, (uint32_t)(p - body));
  r = tm_data_file_write(d->io, d->path, "meta", bytes, p - bytes, err);
  if (r == 0) r = meta_take(d, body, (uint32_t)(p - body), err);
end:
  d->io->memory(d->io, bytes, 0);
  return r;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static int not_ours(const struct tm_data_dir *d, const struct content *c, int uses, struct tm_err *err) {
  if (c->journal && (c->meta || c->resetting))
    return tm_err_set(err, FAILED, "data-version", "the file 'version' of the data folder %.400s is missing. Put it back, with one line: "
                      "echo '%s%d' >%.400s/version", d->path, version_prefix, TM_DATA_VERSION, d->path);
  if (!uses) return tm_err_set(err, USAGE, "data-not-ours", "%.400s holds no state of tidemill", d->path);
  return tm_err_set(err, USAGE, "data-not-ours", "%.400s is not empty and holds no state of tidemill: name an empty folder, or one that does not "
                    "exist yet", d->path);
}

int tm_data_dir_open(struct tm_data_dir *d, const struct tm_io *io, const char *path, int how, struct tm_err *err) {
  char text[TEXT_MAX];
  struct content content = { 0 };
  int uses = how == TM_DATA_USE || how == TM_DATA_RESET, r;

  memset(d, 0, sizeof *d);
  d->io = io;
  d->lock_fd = -1;
  if (strlen(path) > TM_DATA_PATH_MAX - 64 || path[0] == '\0')
    return tm_err_set(err, USAGE, "data-path", "the path of the data folder has %zu bytes; it takes 1 to %d", strlen(path), TM_DATA_PATH_MAX - 64);
  snprintf(d->path, sizeof d->path, "%s", path);
  if (folder_check(d, uses, err) != 0) return -1;
  r = io->list(io, d->path, content_add, &content);
  if (r < 0) return failed(err, USAGE, "list the data folder", d->path, r);
  if (!content.version && (content.others || !uses)) return not_ours(d, &content, uses, err);
  if (content.version && version_check(d, err) != 0) return -1;
  if (how == TM_DATA_LOOK) lock_look(d);
  else if (lock_take(d, err) != 0) return -1;
  r = 0;
  if (uses) r = leftovers_remove(d, err);
  if (r == 0 && (how == TM_DATA_RESET || (uses && content.resetting))) {
    r = tm_data_dir_reset(d, err);
    content.journal = 0;
  }
  if (r == 0 && !content.version) {
    snprintf(text, sizeof text, "%s%d\n", version_prefix, TM_DATA_VERSION);
    r = tm_data_file_write(io, d->path, "version", text, (int64_t)strlen(text), err);
  }
  if (r == 0) r = meta_read(d, content.journal || !uses, err);
  if (r != 0) tm_data_dir_close(d);
  return r;
}

void tm_data_dir_close(struct tm_data_dir *d) {
  if (d->lock_fd >= 0) d->io->close(d->io, d->lock_fd);
  d->lock_fd = -1;
  d->io->memory(d->io, d->caller, 0);
  d->caller = NULL;
}
