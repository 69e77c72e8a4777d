/* journal_segments.c - the segments behind a journal that is written: prepared one ahead, rolled, recycled, the tail rewritten.
 *
 * A file gets the name of a segment only when its head is synced: it is made as journal.new, from nothing or from a segment
 * that is no longer needed, and renamed. So a segment whose head is not valid was damaged, not interrupted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "journal_core.h"

int tm_journal_no_room(struct tm_err *err, const char *what, const char *path, int64_t code) {
  tm_err_set(err, 1, "journal-room", "cannot %s %.300s: %s. What was acknowledged is safe; make room on the disk", what, path,
             strerror((int)-code));
  return TM_JOURNAL_NO_ROOM;
}

static int failed(struct tm_err *err, const char *what, const char *path, int64_t code) {
  return tm_err_set(err, 1, "journal-io",
                    "cannot %s %.300s: %s. Nothing is acknowledged any more; what was acknowledged is safe. %s and start again with the "
                    "same folder: the run goes on from the last durable epoch",
                    what, path, strerror((int)-code), tm_data_is_no_room(code) ? "Make room" : "Look after the disk");
}

/* The same for what may be tried again: nothing counts on it yet. */
static int failed_ahead(struct tm_err *err, const char *what, const char *path, int64_t code) {
  return tm_data_is_no_room(code) ? tm_journal_no_room(err, what, path, code) : failed(err, what, path, code);
}

int tm_journal_segments_reserve(struct tm_journal *j, struct tm_err *err) {
  int64_t cap = j->segments_cap > 0 ? 2 * j->segments_cap : 16;
  struct tm_segment *more;

  if (j->segments_n < j->segments_cap) return 0;
  more = j->io->memory(j->io, NULL, (size_t)cap * sizeof *more);
  if (more == NULL) return tm_err_set(err, 1, "no-memory", "no memory for the journal's list of segments");
  if (j->segments_n > 0) memcpy(more, j->segments, (size_t)j->segments_n * sizeof *more);
  pthread_mutex_lock(&j->lock);
  j->io->memory(j->io, j->segments, 0);
  j->segments = more;
  j->segments_cap = cap;
  pthread_mutex_unlock(&j->lock);
  return 0;
}

static int fallocate_all(const struct tm_io *io, int fd, int64_t n) {
  int r;

  do r = io->fallocate(io, fd, 0, n);
  while (r == -EINTR);
  return r;
}

/* The oldest segment is no longer needed: not written to, nothing of it asked for, and not the one by which a scan knows the
 * last epoch's number. */
static int oldest_is_free(const struct tm_journal *j, uint64_t release) {
  const struct tm_segment *g = j->segments;

  return j->segments_n > 1 && g->number < j->epoch_segment && g->epoch_last <= release;
}

static uint64_t release_get(struct tm_journal *j) {
  uint64_t release;

  pthread_mutex_lock(&j->lock);
  release = j->release;
  pthread_mutex_unlock(&j->lock);
  return release;
}

/* The oldest goes first on the disk too: a hole behind one that came back would look like damage. 0 or -errno. */
static int removal_sync(struct tm_journal *j) {
  int r = j->removed ? j->io->fsync_dir(j->io, j->dir) : 0;

  if (r == 0) j->removed = 0;
  return r;
}

static void oldest_remove(struct tm_journal *j) {
  j->removed = 1;
  pthread_mutex_lock(&j->lock);
  j->segments_n--;
  memmove(j->segments, j->segments + 1, (size_t)j->segments_n * sizeof *j->segments);
  pthread_mutex_unlock(&j->lock);
}

/* journal.new from a segment that is no longer needed: 1, 0 there is none, or -errno. */
static int new_from_old(struct tm_journal *j, const char *path) {
  char old[TM_SEGMENT_PATH];
  int r;

  if (!oldest_is_free(j, release_get(j)) || j->segments[0].size != j->segment_size) return 0;
  r = removal_sync(j);
  if (r == 0) r = j->io->rename(j->io, tm_segment_path(j->dir, j->segments[0].number, old), path);
  if (r < 0) return r;
  oldest_remove(j);
  return 1;
}

/* Makes journal.new with room for `size` bytes and a head: its descriptor, NO_ROOM or -1 with err. Where there is not room enough, what
 * was had of it is given back. */
static int new_open(struct tm_journal *j, char *path, int64_t size, int recycle, uint64_t number, uint64_t *salt, struct tm_err *err) {
  unsigned char head[TM_SEGMENT_HEAD];
  struct tm_segment_head h = { .number = number, .id = j->id };
  const char *what = "make the segment";
  int fd, r;

  tm_data_path(j->dir, "journal.new", path);
  r = j->io->random(j->io, &h.salt, sizeof h.salt);
  if (r < 0) return failed(err, "get random bytes for", path, r);
  *salt = h.salt;
  r = recycle ? new_from_old(j, path) : 0;
  if (r < 0) return failed(err, "recycle a segment as", path, r);
  fd = tm_io_open(j->io, path, O_RDWR | O_CREAT | (r == 0 ? O_TRUNC : 0), 0600);
  if (fd < 0) return failed_ahead(err, what, path, fd);
  r = r == 0 ? fallocate_all(j->io, fd, size) : 0;
  if (r == 0) {
    tm_segment_head_write(head, &h);
    r = tm_io_pwrite_all(j->io, fd, head, sizeof head, 0);
  }
  if (r == 0) return fd;
  j->io->close(j->io, fd);
  if (tm_data_is_no_room(r)) j->io->unlink(j->io, path);
  return failed_ahead(err, what, path, r);
}

/* Syncs journal.new and gives it its name: 0, NO_ROOM (the folder has none for the name) or -1 with err. */
static int new_name(struct tm_journal *j, int fd, const char *path, uint64_t number, struct tm_err *err) {
  char named[TM_SEGMENT_PATH];
  int r = j->io->fdatasync(j->io, fd);

  if (r < 0) return failed(err, "sync", path, r);
  r = j->io->rename(j->io, path, tm_segment_path(j->dir, number, named));
  if (r < 0) return failed_ahead(err, "rename to its place", path, r);
  r = j->io->fsync_dir(j->io, j->dir);
  if (r == 0) j->removed = 0;
  return r < 0 ? failed(err, "sync the folder", j->dir, r) : 0;
}

int tm_journal_prepare(struct tm_journal *j, struct tm_err *err) {
  char path[TM_SEGMENT_PATH];
  int fd, r;

  if (j->next_fd >= 0) return 0;
  fd = new_open(j, path, j->segment_size, 1, j->next_number, &j->next_salt, err);
  if (fd < 0) return fd;
  r = new_name(j, fd, path, j->next_number, err);
  if (r != 0) {
    j->io->close(j->io, fd);
    return r;
  }
  j->next_fd = fd;
  return 1;
}

int tm_journal_roll(struct tm_journal *j, struct tm_err *err) {
  char path[TM_SEGMENT_PATH];
  int r;

  /* first, as the preparation may take an old segment away by what lies in this one */
  if (j->fd >= 0) {
    r = j->io->fdatasync(j->io, j->fd);
    if (r < 0) return failed(err, "sync", tm_segment_path(j->dir, j->segments[j->segments_n - 1].number, path), r);
  }
  r = tm_journal_prepare(j, err);
  if (r < 0) return r;
  if (tm_journal_segments_reserve(j, err) != 0) return -1;
  if (j->fd >= 0) j->io->close(j->io, j->fd);
  j->fd = j->next_fd;
  j->salt = j->next_salt;
  j->at = TM_SEGMENT_HEAD;
  pthread_mutex_lock(&j->lock);
  j->segments[j->segments_n++] = (struct tm_segment){ .number = j->next_number, .salt = j->salt, .size = j->segment_size,
                                                       .end = TM_SEGMENT_HEAD };
  pthread_mutex_unlock(&j->lock);
  j->next_fd = -1;
  j->next_number++;
  return 0;
}

int tm_journal_recycle(struct tm_journal *j, struct tm_err *err) {
  uint64_t release = release_get(j);
  char path[TM_SEGMENT_PATH];
  int did = 0, r;

  /* one is left for the next preparation */
  while (oldest_is_free(j, release) && j->segments_n > 2 && j->segments[1].number < j->epoch_segment &&
         j->segments[1].epoch_last <= release) {
    r = removal_sync(j);
    if (r < 0) return failed(err, "sync the folder", j->dir, r);
    r = j->io->unlink(j->io, tm_segment_path(j->dir, j->segments[0].number, path));
    if (r < 0 && r != -ENOENT) return failed(err, "remove", path, r);
    oldest_remove(j);
    did = 1;
  }
  return did;
}

/* ---- the tail --------------------------------------------------------------------------- */

/* What is copied to the new file: gathered, so that small frames do not cost a write each. */
struct copy {
  struct tm_journal *j;
  int fd;
  unsigned char *bytes;             /* TM_FRAME_HEAD + TM_FRAME_PAYLOAD_MAX */
  int64_t n, at;                    /* gathered, and where it goes */
  const char *path;
};

static int copy_flush(struct copy *c, struct tm_err *err) {
  int r = tm_io_pwrite_all(c->j->io, c->fd, c->bytes, (size_t)c->n, c->at);

  if (r < 0) return failed(err, "write", c->path, r);
  c->at += c->n;
  c->n = 0;
  return 0;
}

static int copy_frame(struct copy *c, const struct tm_frame *f, const unsigned char *payload, struct tm_err *err) {
  if (c->n + TM_FRAME_HEAD + (int64_t)f->length > TM_FRAME_HEAD + TM_FRAME_PAYLOAD_MAX && copy_flush(c, err) != 0) return -1;
  tm_frame_write(c->bytes + c->n, f);
  if (f->length > 0) memcpy(c->bytes + c->n + TM_FRAME_HEAD, payload, f->length);
  c->n += TM_FRAME_HEAD + (int64_t)f->length;
  return 0;
}

/* The frames of the tail: 0, or -1 with err. */
static int tail_copy(struct copy *c, const struct tm_journal_scan *scan, struct tm_err *err) {
  const struct tm_segment *g = &scan->segments[scan->tail_segment];
  const unsigned char *payload = NULL;
  struct tm_segment_reader r;
  struct tm_frame f;
  int64_t at = TM_SEGMENT_HEAD;
  int got = -1;

  if (tm_segment_reader_init(&r, c->j->io, err) != 0) return -1;
  if (scan->tail_end > at) {
    got = tm_segment_reader_open(&r, c->j->dir, g->number, err);
    if (got == 0) got = tm_err_set(err, 1, "journal-changed", "%.400s is gone; is another process using the folder?", r.path);
    if (got < 0) goto end;
  }
  while (at < scan->tail_end) {
    enum tm_frame_state state = tm_segment_frame(&r, at, g->salt, c->j->id, &f, &payload, err);

    got = -1;
    if (state != TM_FRAME_VALID) {
      if (state != TM_FRAME_ERROR)
        tm_err_set(err, 1, "journal-changed", "%.400s has changed since it was read; is another process using the folder?", r.path);
      goto end;
    }
    f.salt = c->j->salt;
    if (copy_frame(c, &f, payload, err) != 0) goto end;
    at += TM_FRAME_HEAD + (int64_t)f.length;
  }
  got = copy_flush(c, err);
end:
  tm_segment_reader_fini(&r);
  return got < 0 ? -1 : 0;
}

/* Writes the tail's segment anew in its place: 0, or -1 with err. */
static int tail_rewrite(struct tm_journal *j, const struct tm_journal_scan *scan, struct tm_err *err) {
  const struct tm_segment *g = &scan->segments[scan->tail_segment];
  char path[TM_SEGMENT_PATH];
  struct copy c = { .j = j, .path = path, .at = TM_SEGMENT_HEAD };
  int64_t size = scan->tail_end + TM_FRAME_HEAD > j->segment_size ? scan->tail_end + TM_FRAME_HEAD : j->segment_size;
  int r = -1;

  j->sequence = scan->tail_sequence;
  c.bytes = j->io->memory(j->io, NULL, TM_FRAME_HEAD + TM_FRAME_PAYLOAD_MAX);
  if (c.bytes == NULL) return tm_err_set(err, 1, "no-memory", "no memory to take the journal up");
  c.fd = new_open(j, path, size, 0, g->number, &j->salt, err);
  if (c.fd < 0) goto end;
  if (tail_copy(&c, scan, err) != 0 || new_name(j, c.fd, path, g->number, err) != 0) {
    j->io->close(j->io, c.fd);
    goto end;
  }
  j->fd = c.fd;
  j->at = c.at;
  r = 0;
end:
  j->io->memory(j->io, c.bytes, 0);
  return r;
}

/* Removes segments [from, n) of what was scanned: 0, or -1 with err. */
static int remove_from(struct tm_journal *j, const struct tm_journal_scan *scan, int64_t from, struct tm_err *err) {
  char path[TM_SEGMENT_PATH];
  int r;

  for (int64_t i = from; i < scan->segments_n; i++) {
    r = j->io->unlink(j->io, tm_segment_path(j->dir, scan->segments[i].number, path));
    if (r < 0 && r != -ENOENT) return failed(err, "remove", path, r);
  }
  if (from >= scan->segments_n) return 0;
  r = j->io->fsync_dir(j->io, j->dir);
  return r < 0 ? failed(err, "sync the folder", j->dir, r) : 0;
}

int tm_journal_take_up(struct tm_journal *j, const struct tm_journal_scan *scan, struct tm_err *err) {
  int64_t tail = scan->tail_segment;
  struct tm_segment *g;

  j->next_number = scan->segments_n > 0 ? scan->segments[scan->segments_n - 1].number + 1 : 1;
  if (tail < 0) {
    if (remove_from(j, scan, 0, err) != 0) return -1;
    return tm_journal_roll(j, err) == 0 ? 0 : -1;
  }
  j->next_number = scan->segments[tail].number + 1;
  if (remove_from(j, scan, tail + 1, err) != 0 || tail_rewrite(j, scan, err) != 0) return -1;
  for (int64_t i = 0; i <= tail; i++) {
    if (tm_journal_segments_reserve(j, err) != 0) return -1;
    j->segments[j->segments_n++] = scan->segments[i];
    if (j->epoch_segment == 0 && scan->segments[i].frames > 0 && scan->segments[i].epoch_last >= scan->epoch_last)
      j->epoch_segment = scan->segments[i].number;
  }
  g = &j->segments[tail];
  g->salt = j->salt;
  g->end = j->at;
  if (scan->tail_end + TM_FRAME_HEAD > j->segment_size) g->size = scan->tail_end + TM_FRAME_HEAD;
  else g->size = j->segment_size;
  if (j->at == TM_SEGMENT_HEAD) g->frames = g->sequence_first = g->epoch_first = g->epoch_last = 0;
  else if (g->epoch_last > scan->epoch_last) g->epoch_last = scan->epoch_last;
  return 0;
}
