/* source.c - opening and reading (source.h); what was read is cut into batches by source_cut.c.
 *
 * What is left of a line is copied to the front before the next block is read behind it, so that the same few pages are
 * used again and again; a long rest waits until a block does not fit any more. It is moved only where old and new place
 * do not overlap, and never while a batch points into it, so that a death in between loses nothing; the buffer has
 * twice the room of the longest event for that.
 *
 * A read may be cut off by SIGKILL between the system's part and ours. A file's position is told it anew. Of a pipe
 * it is known before how many bytes a read will take, and the last of them are preset to a byte that is in no valid
 * text behind some drawn by lot, for messages that may hold any byte: whether they are still there tells whether the read
 * took place. */
#include "source.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "follow.h"
#include "log_source.h"
#include "paths.h"
#include "turns.h"

enum {
  HEAD_BYTES = 1024,         /* of a file, by which it is known again */
  READ_SMALL = 16 * 1024,    /* less is not worth a call */
  BLOCKS_IN_TURN = 64,       /* of one file that is followed */
  REST_SMALL = TM_BLOCK,     /* a rest up to this is moved before each read */
  UNREAD_LAST = 0xFF         /* in no UTF-8 text */
};

/* ---- opening ---- */

static int was_found(const struct tm_source *s) { return s->found && s->paths[s->state->file][-1] == TM_PATH_FOUND; }

/* Another process has read this file up to a place: 0 it is still the same one, as far as its first bytes tell; -1 err. */
static int same_file(struct tm_source *s, int fd, int64_t size, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  char head[HEAD_BYTES];
  int64_t n = st->head_n;
  s->restored = 0;
  if (st->offset == 0) return 0;
  if (st->offset > size)
    return tm_err_set(err, 1, "file-short",
                      "%s: has %lld bytes, but %lld were read of it: it is not the file it was. Put that back, or start anew with --reset",
                      tm_source_origin(s), (long long)size, (long long)st->offset);
  if (n == 0) return 0;
  if (s->io->pread(s->io, fd, head, (size_t)n, 0) == n && XXH3_64bits(head, (size_t)n) == st->head_hash) return 0;
  return tm_err_set(err, 1, "file-changed",
                    "%s: begins otherwise than the file that was read up to byte %lld. Put that back, or start anew with --reset",
                    tm_source_origin(s), (long long)st->offset);
}

static int open_path(struct tm_source *s, struct tm_err *err) {
  const struct tm_io *io = s->io;
  const char *path = s->paths[s->state->file];
  int fd = io->open(io, path, O_RDONLY, 0);
  if (fd == -ENOENT && was_found(s)) {
    tm_log_warning("%s: was there when the run began and is gone; it is left out", path);
    s->live = 0;
    s->state->eof = TM_EOF_GONE;
    return 0;
  }
  if (fd < 0) return tm_err_set(err, 3, "file-open", "%s: cannot be read: %s", path, strerror(-fd));
  struct stat st;
  int known = fstat(fd, &st) == 0;
  if (known && S_ISDIR(st.st_mode)) {
    io->close(io, fd);
    return tm_err_set(err, 3, "file-open", "%s: is a directory; name the files in it", path);
  }
  s->live = known && !S_ISREG(st.st_mode);
  s->fifo = known && S_ISFIFO(st.st_mode);
  if (known && !s->live && s->restored && same_file(s, fd, st.st_size, err) != 0) {
    io->close(io, fd);
    return -1;
  }
  if (!s->live && s->state->offset > 0 && lseek(fd, s->state->offset, SEEK_SET) < 0) {
    io->close(io, fd);
    return tm_err_set(err, 1, "file-seek", "%s: cannot go on at byte %lld: %s", path, (long long)s->state->offset, strerror(errno));
  }
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  s->fd = fd;
  return tm_turns_head(s, err);
}

/* Of what is compressed all is read again: what the decoder had cannot be put back. */
static void packed_fresh(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  st->drop = st->made - (st->tail - st->head);
  st->made = 0;
  st->bytes -= (double)st->offset;
  st->offset = 0;
  st->head = st->tail = 0;
  st->looked = TM_LOOK_NOT;
}

/* Standard input of another process: a file is read on, anything else is a new stream behind the lines that were read of the
 * one before. */
static int stdin_restored(struct tm_source *s, int64_t size, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  s->restored = 0;
  if (!s->live) {
    if (st->looked == TM_LOOK_PACKED && !st->eof) packed_fresh(s);
    return same_file(s, s->fd, size, err);
  }
  int32_t tail = st->tail;
  while (st->tail > st->head && s->buf.data[st->tail - 1] != '\n' && s->batch->format != TM_FORMAT_MSGPACK) st->tail--;
  if (tail > st->tail)
    tm_log_warning("stdin: %d bytes of an unfinished line that was read before are left out: its rest is gone", tail - st->tail);
  st->looked = TM_LOOK_NOT;
  if (st->tail == st->head) st->begun = st->headed = 0;
  return 0;
}

static int open_stdin(struct tm_source *s, struct tm_err *err) {
  struct tm_source_state *state = s->state;
  struct stat st;
  if (fstat(STDIN_FILENO, &st) != 0 || fcntl(STDIN_FILENO, F_GETFL) & O_PATH)
    return tm_err_set(err, 3, "stdin", "standard input is closed; give --from FILE");
  if (S_ISDIR(st.st_mode)) return tm_err_set(err, 3, "stdin", "standard input is a directory; give --from FILE");
  s->fd = STDIN_FILENO;
  s->live = !S_ISREG(st.st_mode);
  s->fifo = S_ISFIFO(st.st_mode);
  /* fewer, larger reads; refused beyond the user's pipe limit, which costs nothing */
  if (s->fifo) fcntl(s->fd, F_SETPIPE_SZ, 1024 * 1024);
  if (!s->live) s->ring = NULL;
  int same = s->ring != NULL && tm_input_ring_begin(s->ring, state->offset);
  if (same) s->restored = 0;  /* of the same stream what a worker before has read is still there */
  if (same && state->looked == TM_LOOK_PACKED)
    return tm_err_set(err, 1, "stdin-packed", "stdin: is compressed, and with --data such a stream cannot be gone on with after a worker's death; "
                      "decompress it in front of the program: zcat ... | tidemill run ...");
  if (s->restored && stdin_restored(s, st.st_size, err) != 0) return -1;
  if (s->live) return 0;
  if (!state->opened) {
    state->base = lseek(s->fd, 0, SEEK_CUR);
    tm_undo_fence();
    state->opened = 1;
  }
  if (state->offset > 0 && lseek(s->fd, state->base + state->offset, SEEK_SET) < 0) {
    return tm_err_set(err, 1, "file-seek", "stdin: cannot go on at byte %lld: %s", (long long)state->offset, strerror(errno));
  }
  return 0;
}

static int open_clock(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  s->live = 1;
  if (st->opened) return 0;
  st->began_ns = s->io->mono_ns(s->io);
  st->began_ms = s->io->real_ms(s->io);
  tm_undo_fence();
  st->opened = 1;
  return 0;
}

void tm_source_fresh(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  s->restored = s->kind == TM_SOURCE_FILE || s->kind == TM_SOURCE_STDIN;
  st->read_ns = s->io->mono_ns(s->io);
  st->reading = 0;
  st->active = st->firing = st->settling = 0;
  if (st->looked == TM_LOOK_PACKED && st->eof) st->looked = TM_LOOK_PLAIN;  /* all of it is text by now */
  if (s->kind == TM_SOURCE_FILE && st->looked == TM_LOOK_PACKED) packed_fresh(s);
  if (s->kind == TM_SOURCE_STDIN) st->opened = 0;
  if (s->kind == TM_SOURCE_EVERY && st->opened) {
    uint64_t over = (uint64_t)st->generated * (uint64_t)s->period_ms;
    st->began_ns = st->read_ns - over * 1000000U;
    st->began_ms = s->io->real_ms(s->io) - (int64_t)over;
  }
}

int tm_source_open(struct tm_source *s, struct tm_err *err) {
  int32_t first = s->state->file;
  int begun = first > 0 || s->state->offset > 0;  /* then what was found and is gone is told when it is its turn */
  if (s->kind == TM_SOURCE_EVERY) return open_clock(s);
  if (s->kind == TM_SOURCE_LOG) return tm_log_source_open(s, err);
  if (s->follow_state != NULL) {
    s->live = 1;
    return tm_follow_open(s, s->follow_state, err) != NULL ? 0 : -1;
  }
  if (s->kind == TM_SOURCE_FILE && !(begun && s->found) && tm_paths_readable(s->paths + first, s->paths_n - first, err) != 0) return -1;
  if (s->kind == TM_SOURCE_FILE) return s->state->done || s->state->eof ? 0 : open_path(s, err);
  return s->kind == TM_SOURCE_STDIN ? open_stdin(s, err) : 0;
}

/* ---- reading ---- */

void tm_source_make_room(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  int32_t rest = st->tail - st->head;
  if (st->head == 0 || rest > st->head) return;
  if (rest > REST_SMALL && s->buf.cap - st->tail >= TM_BLOCK) return;
  memcpy(s->buf.data, s->buf.data + st->head, (size_t)rest);
  tm_undo_keep(s->undo, st, sizeof *st);
  st->head = 0;
  st->tail = rest;
  tm_undo_done(s->undo);
}

/* What a read of a live source would bring: bytes there, at most `room`; 0 its end, or not known; -1 it would wait. */
static int32_t waiting(struct tm_source *s, int32_t room) {
  int n = 0;
  if (ioctl(s->fd, FIONREAD, &n) == 0 && n > 0) return n < room ? n : room;
  if (!s->readable) return -1;
  s->readable = 0;
  struct pollfd p = {.fd = s->fd, .events = POLLIN};
  return poll(&p, 1, 0) > 0 ? 0 : -1;
}

/* Presets the last of the n bytes a read will take, or tells whether they are still so. Both for bytes that end at `end`. */
static int unread(struct tm_source *s, char *end, int32_t n, int preset) {
  char *pattern = s->state->unread;
  int32_t size = (int32_t)sizeof s->state->unread;
  uint64_t x = s->io->mono_ns(s->io);
  if (pattern[size - 1] == 0) {
    for (int32_t i = 0; i < size; i++) pattern[i] = (char)((x = x * 6364136223846793005u + 1442695040888963407u) >> 56);
    pattern[size - 1] = (char)UNREAD_LAST;
  }
  if (n > size) n = size;
  if (preset) memcpy(end - n, pattern + size - n, (size_t)n);
  return memcmp(end - n, pattern + size - n, (size_t)n) == 0;
}

/* The first bytes of a file, which tell it from another one. */
static void know(struct tm_source *s, int32_t n) {
  struct tm_source_state *st = s->state;
  st->head_n = s->turns_of_files ? 0 : n < HEAD_BYTES ? n : HEAD_BYTES;  /* of several files the places alone are known */
  st->head_hash = XXH3_64bits(s->buf.data + st->tail, (size_t)st->head_n);
  st->made = 0;
}

/* n bytes were read behind what was: text, or the log of what is compressed. */
static void took(struct tm_source *s, int32_t n, uint64_t now) {
  struct tm_source_state *st = s->state;
  tm_undo_keep(s->undo, st, sizeof *st);
  if (st->offset == 0 && st->looked != TM_LOOK_PACKED && s->follow == NULL) know(s, n);
  if (st->looked == TM_LOOK_PACKED) tm_unpack_fed(s->unpack, s->undo, n);
  else st->tail += n;
  st->offset += n;
  st->bytes += n;
  st->read_ns = now;
  st->reading = 0;
  tm_undo_done(s->undo);
  s->buf.len = st->tail;
}

/* A read brought nothing: 0 nothing now, or its end (eof); -1 err. */
static int read_nothing(struct tm_source *s, int64_t n, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  if (n == -EAGAIN) return 0;
  if (n == -EIO && s->live) n = 0;  /* a terminal that has gone */
  if (n < 0) return tm_err_set(err, 1, "read", "%s: read failed: %s", tm_source_origin(s), strerror((int)-n));
  if (s->follow != NULL) return 0;
  int empty = s->kind == TM_SOURCE_FILE && !s->live && st->offset == 0;
  if (empty && !s->empty_told) {
    tm_log_info("%s: is empty (further ones are counted in the summary)", tm_source_origin(s));
    s->empty_told = 1;
  }
  st->eof = empty ? TM_EOF_EMPTY : TM_EOF_REACHED;
  return 0;
}

static int64_t read_once(const struct tm_source *s, char *to, int32_t n) {
  int64_t got;
  do got = s->io->read(s->io, s->fd, to, (size_t)n);
  while (got == -EINTR);
  return got;
}

/* By way of the ring: what a worker before has read of the stream, else what is read now. As read_some. */
static int64_t read_ring(struct tm_source *s, char *to, int32_t room, struct tm_err *err) {
  struct tm_input_ring *r = s->ring;
  int64_t offset = s->state->offset, rest = tm_input_ring_rest(r, offset);
  if (rest == 0) {
    int32_t n;
    char *place = tm_input_ring_room(r, &n);
    if (s->closing || n == 0) return 0;
    if (n > room) n = room;
    int32_t there = waiting(s, n);
    if (there < 0) return 0;
    if (there > 0) n = there;
    if (there > 0 && s->fifo) tm_input_ring_expect(r, n, s->io->mono_ns(s->io));
    rest = read_once(s, place, n);
    tm_input_ring_took(r, rest > 0 ? (int32_t)rest : 0);
    if (rest <= 0) return read_nothing(s, rest, err);
  }
  if (rest > room) rest = room;
  tm_input_ring_copy(r, offset, to, (int32_t)rest);
  took(s, (int32_t)rest, s->io->mono_ns(s->io));
  return rest;
}

/* Reads to `to`, where took() counts it: bytes, 0 nothing now or its end (eof), -1 err. */
static int64_t read_some(struct tm_source *s, char *to, int32_t room, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  if (s->ring != NULL) return read_ring(s, to, room, err);
  if (s->closing) return 0;
  if (s->live && s->follow == NULL) {
    int32_t there = waiting(s, room);
    if (there < 0) return 0;
    if (there > 0) room = there;
    if (there > 0 && s->fifo) {
      unread(s, to + there, there, 1);
      tm_undo_fence();
      st->reading = there;
      tm_undo_fence();
    }
  }
  int64_t n = read_once(s, to, room);
  if (n > 0) {
    took(s, (int32_t)n, s->io->mono_ns(s->io));
    return n;
  }
  st->reading = 0;
  return read_nothing(s, n, err);
}

/* ---- what is compressed ---- */

static int find_unpack(struct tm_source *s, size_t *size) {
  s->unpack = s->unpack_get(s, size);
  return s->unpack != NULL;
}

/* Do the first bytes say that the file is compressed? Then they are no text. 0, or -1 err. */
static int look(struct tm_source *s, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  char *text = s->buf.data + st->head;
  int32_t n = st->tail - st->head;
  int is = s->kind <= TM_SOURCE_STDIN ? tm_unpack_recognize(text, n) : 0;
  size_t size;
  if (is < 0) return 0;
  if (is == 0) {
    st->looked = TM_LOOK_PLAIN;
    return 0;
  }
  if (s->follow != NULL) {
    tm_follow_refuse(s);
    return 0;
  }
  if (!find_unpack(s, &size))
    return tm_err_set(err, 1, "memory", "%s: no address space to decompress it (see ulimit -v)", tm_source_origin(s));
  tm_unpack_begin(s->unpack, size, text, n);
  tm_undo_keep(s->undo, st, sizeof *st);
  st->tail = st->head;
  st->looked = TM_LOOK_PACKED;
  tm_undo_done(s->undo);
  s->buf.len = st->tail;
  return 0;
}

/* Compressed input stops making sense: what came before is processed, whole lines of it. */
static void cut_off(struct tm_source *s, const char *why) {
  struct tm_source_state *st = s->state;
  tm_log_error("%s: byte %lld: %s; what came before is processed, nothing behind it can be read", tm_source_origin(s),
               (long long)tm_unpack_at(s->unpack), why);
  tm_undo_keep(s->undo, st, sizeof *st);
  st->eof = TM_EOF_CUT;
  st->broken = 1;
  tm_undo_done(s->undo);
}

static int64_t fill_packed(struct tm_source *s, int32_t room, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  char why[TM_UNPACK_WHY];
  for (;;) {
    int32_t made, more;
    int rc = tm_unpack_make(s->unpack, s->buf.data + st->tail, room, &made, why);
    if (made > 0) {
      int32_t had = st->drop < made ? (int32_t)st->drop : made;
      char *text = s->buf.data + st->tail;
      if (had > 0) memmove(text, text + had, (size_t)(made - had));
      tm_undo_keep(s->undo, st, sizeof *st);
      tm_unpack_took(s->unpack, s->undo, made);
      st->drop -= had;
      st->made += made;
      st->tail += made - had;
      tm_undo_done(s->undo);
      s->buf.len = st->tail;
      if (made == had) continue;
      return made - had;
    }
    if (rc < 0) break;
    char *to = tm_unpack_room(s->unpack, s->undo, &more);
    int64_t n = read_some(s, to, more, err);
    if (n < 0) return n;
    if (n == 0 && (st->eof == TM_EOF_NOT || tm_unpack_ended(s->unpack, why) == 0)) return 0;
    if (n == 0) break;
  }
  cut_off(s, why);
  return 0;
}

int tm_source_full(const struct tm_source *s) { return s->ring != NULL && tm_input_ring_full(s->ring); }

int tm_source_pending(const struct tm_source *s) {
  if (s->ring != NULL && !s->state->eof && tm_input_ring_rest(s->ring, s->state->offset) > 0) return 1;
  return s->state->looked == TM_LOOK_PACKED && !s->state->eof && tm_unpack_pending(s->unpack);
}

/* ---- files that grow, clocks ---- */

/* A file to read is at hand: 1, 0 none has anything new, -1 err. One that is written faster than it is read does not keep
 * others waiting. */
static int next_followed(struct tm_source *s, struct tm_err *err) {
  if (s->closing) return 0;
  int lingers = tm_follow_lingers(s->follow);
  if (s->fd >= 0 && lingers && !tm_source_holds(s)) tm_follow_leave(s);
  else if (s->fd >= 0 && !lingers && ++s->blocks > BLOCKS_IN_TURN && tm_follow_advanced(s) && tm_follow_leave(s)) s->blocks = 0;
  return s->fd >= 0 && !lingers ? 1 : tm_follow_pick(s, err);
}

/* There is no more in the file at hand: 1, so that others are looked at. */
static int64_t end_followed(struct tm_source *s) {
  s->blocks = 0;
  if (s->closing) return 0;
  if (tm_follow_is_silent(s) && tm_source_end_held(s)) return 1;
  if (tm_source_holds(s) && tm_follow_linger(s)) return 0;
  if (!tm_follow_leave(s)) s->state->eof = TM_EOF_REACHED;
  return 1;
}

int tm_source_read_held(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  int64_t n = s->follow != NULL && tm_source_record(s) != NULL ? tm_follow_pick_held(s) : 0;
  if (n == 0) return 0;
  tm_source_make_room(s);
  if (n > s->buf.cap - st->tail) n = s->buf.cap - st->tail;
  int64_t got = tm_io_read_all(s->io, s->fd, s->buf.data + st->tail, (size_t)n);
  if (got > 0) took(s, (int32_t)got, s->io->mono_ns(s->io));
  return 1;
}

/* A row for each tick that is over. */
static int64_t fill_clock(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  uint64_t now = s->io->mono_ns(s->io);
  uint64_t ticks = (now - st->began_ns) / ((uint64_t)s->period_ms * 1000000U);
  double over = (double)ticks;
  int32_t from, rows = 0;
  char row[96];
  if (s->closing || over <= st->generated) return 0;
  tm_source_make_room(s);
  from = st->tail;
  tm_undo_keep(s->undo, st, sizeof *st);
  while (st->generated < over && rows++ < TM_BATCH_ROWS && !st->eof) {
    st->generated += 1;
    int n = snprintf(row, sizeof row, "{\"time\":%lld,\"n\":%.0f}\n", (long long)st->began_ms + (long long)st->generated * s->period_ms,
                     st->generated);
    memcpy(s->buf.data + st->tail, row, (size_t)n);
    st->tail += n;
    if (s->count > 0 && st->generated >= s->count) st->eof = TM_EOF_REACHED;
  }
  st->read_ns = now;
  tm_undo_done(s->undo);
  s->buf.len = st->tail;
  return st->tail - from;
}

/* Of a source that is taken as it comes, and has given lines that are held as a record: when they have been for long enough. */
static uint64_t silence_due(const struct tm_source *s) {
  const struct tm_record *record = tm_source_record(s);
  if (record == NULL || record->held == 0 || !s->live || s->follow != NULL) return 0;
  return s->state->read_ns + (uint64_t)(record->timeout_ms * 1e6);
}

uint64_t tm_source_due(const struct tm_source *s) {
  const struct tm_source_state *st = s->state;
  uint64_t due = silence_due(s);
  if (st->done || s->kind == TM_SOURCE_LINK) return 0;
  if (s->kind == TM_SOURCE_EVERY) due = st->began_ns + (uint64_t)(st->generated + 1) * (uint64_t)s->period_ms * 1000000U;
  if (s->follow != NULL) due = tm_follow_due(s);
  if (s->kind == TM_SOURCE_LOG) due = tm_log_source_due(s);
  return due > s->next_ns ? due : s->next_ns;
}

/* A read has just brought nothing. */
static void end_silent(struct tm_source *s) {
  uint64_t due = silence_due(s);
  if (due > 0 && !s->state->eof && s->io->mono_ns(s->io) >= due) tm_source_end_held(s);
}

int tm_source_fd(const struct tm_source *s) {
  if (s->kind == TM_SOURCE_LOG) return tm_log_source_fd(s->log);
  return s->follow != NULL ? tm_follow_fd(s->follow) : s->fd;
}

int64_t tm_source_fill(struct tm_source *s, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  int rc = 0;
  if (st->eof || st->done) return 0;
  if (s->kind == TM_SOURCE_EVERY) return fill_clock(s);
  if (s->kind == TM_SOURCE_LOG) return tm_log_source_fill(s, err);
  if (s->follow != NULL && (rc = next_followed(s, err)) <= 0) return rc;
  if (rc == TM_FOLLOW_ENDS) return tm_source_end_held(s);
  if (s->fd < 0 && open_path(s, err) != 0) return -1;
  if (s->fd < 0) return 0;
  tm_source_make_room(s);
  int32_t room = s->buf.cap - st->tail;
  /* no more than the batch wants: what is left over is copied to the front for the next one */
  int32_t want = s->live || s->whole == 0 ? TM_BLOCK : s->whole - (st->tail - st->head);
  if (s->turns != NULL && want > 2 * s->piece) want = 2 * s->piece;
  if (want < READ_SMALL) want = READ_SMALL;
  if (want > TM_BLOCK) want = TM_BLOCK;
  if (room > want) room = want;
  if (room <= 0) return 0;
  if (st->looked == TM_LOOK_NOT && st->tail > st->head && look(s, err) != 0) return -1;  /* a worker died before it looked */
  if (s->fd < 0) return 1;
  if (st->looked == TM_LOOK_PACKED) {
    int64_t made = fill_packed(s, room, err);
    if (made == 0) end_silent(s);
    return made;
  }
  int64_t n = read_some(s, s->buf.data + st->tail, room, err);
  if (n == 0 && s->follow != NULL) return end_followed(s);
  if (n == 0) end_silent(s);
  if (n > 0 && st->looked == TM_LOOK_NOT && look(s, err) != 0) return -1;
  return n;
}

/* ---- after a death ---- */

void tm_source_resume(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  s->batch->fields = s->fields;
  if (st->firing || st->settling) st->firing = st->settling = st->active = 0;
  if (s->kind == TM_SOURCE_LINK) return;
  size_t size;
  int packed = st->looked == TM_LOOK_PACKED && find_unpack(s, &size);
  if (st->reading > 0) {
    int32_t n = st->reading;
    char *to = packed ? tm_unpack_end(s->unpack) : s->buf.data + st->tail;
    if (!unread(s, to + n, n, 0)) took(s, n, s->io->mono_ns(s->io));
    st->reading = 0;
  }
  if (packed) tm_unpack_resume(s->unpack, s->undo);
  s->buf.len = st->tail;
  if (st->active) tm_source_cut_again(s);
}

int32_t tm_source_part(const struct tm_source *s) {
  if (s->seen != NULL) return s->seen->part;
  return s->follow != NULL ? s->follow_state->at : s->state->file;
}

const char *tm_source_origin(const struct tm_source *s) {
  if (s->seen != NULL) return s->seen_name != NULL ? s->seen_name : s->name;
  if (s->follow != NULL) return tm_follow_name(s->follow) != NULL ? tm_follow_name(s->follow) : s->name;
  if (s->kind == TM_SOURCE_FILE && s->state->file < s->paths_n) return s->paths[s->state->file];
  return s->name;
}

const char *tm_source_part_name(const struct tm_source *s, int32_t part) {
  if (s->seen != NULL) return s->seen->part == part ? tm_source_origin(s) : s->name;
  if (s->follow != NULL) return part > 0 ? s->follow_state->files[part - 1].path : s->name;
  return s->kind == TM_SOURCE_FILE && part < s->paths_n ? s->paths[part] : s->name;
}
