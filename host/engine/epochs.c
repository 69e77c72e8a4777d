/* epochs.c - cutting epochs and handing them to the journal (epochs.h).
 *
 * An epoch's payload (durable/payload.h) has offsets of two kinds: below TM_EPOCHS_SHARED those of the arena, from there on those of the shared
 * block. Of the block pieces are named (tm_flow_keep, tm_shared_keep); one that is what it was in the epoch before, by its hash, is not written
 * again. The head is a map of msgpack: version of the program, ended, library.
 *
 * One epoch is under way at a time: cut, copied, written, synced. The files that sinks have written are synced on the
 * journal's thread before the epoch that counts their bytes is. */
#include "epochs_own.h"

#include <errno.h>
#include <msgpack.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../base/version.h"
#include "../durable/data_dir.h"
#include "../durable/journal.h"
#include "../durable/payload.h"
#include "../durable/snapshot.h"
#include "../state/arena.h"
#include "script.h"

enum {
  SLICE_BYTES = 256 * 1024, PART_BYTES = 1 << 20, PART_OF_PIECE = 256, PIECE_IN_PARTS = 64 * 1024,
  WORK_PART = 10                   /* of the worker's time, when somebody waits for epochs */
};
#define SNAPSHOT_AGAIN_NS UINT64_C(30000000000)

static int failed(const struct tm_epochs *e, struct tm_err *err);
static int wait_synced(struct tm_epochs *e, struct tm_err *err);
static int note_durable(struct tm_epochs *e, struct tm_err *err);

static int cannot_sync(int fd, int why, struct tm_err *err) {
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = '\0';
  return tm_err_set(err, 1, "sync", "%s: what was written to it cannot be synced: %s. Look after the disk and start again with the same folder: the "
                    "run goes on from the last durable epoch", n > 0 ? path : "an output", strerror(why));
}

int tm_epochs_sync_files(void *ctx, uint64_t epoch, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  int rc = 0;
  (void)epoch;
  for (int32_t i = 0; i < e->syncs_n; i++) {
    int r = rc == 0 ? e->io->fdatasync(e->io, e->syncs[i]) : 0;
    if (r < 0 && r != -EINVAL && r != -EROFS) rc = cannot_sync(e->syncs[i], -r, err);
    e->io->close(e->io, e->syncs[i]);
  }
  e->syncs_n = 0;
  return rc == 0 ? tm_flow_sync(e->flows, err) : rc;
}

/* Sinks of several files say there which ones they began. */
static int begun_files(struct tm_epochs *e, struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64], name[32];
  for (int32_t i = 0; i < e->flows->outlets_n; i++) {
    const struct tm_sink *s = &e->flows->outlets[i]->sink;
    snprintf(name, sizeof name, "files.%016llx", (unsigned long long)s->key);
    if (s->files != NULL && tm_files_kept(s->files, tm_data_path(e->dir.path, name, path)) != 0)
      return tm_err_set(err, 1, "memory", "no memory to keep the run");
  }
  return 0;
}

/* Sinks whose rows count when they are durable, and input that can be read once. */
static void streams(struct tm_epochs *e) {
  for (int32_t i = 0; i < e->flows->sources_n; i++)
    if (e->flows->sources[i]->kind == TM_SOURCE_STDIN) e->flows->sources[i]->ring = e->shared->input;
  for (int32_t i = 0; i < e->flows->outlets_n; i++) {
    struct tm_sink *s = &e->flows->outlets[i]->sink;
    s->kept = 1;
    if (s->sqlite != NULL) tm_sqlite_sink_allow(s->sqlite, tm_sqlite_sink_position(s->sqlite));
  }
}

int tm_epochs_prepare(struct tm_epochs *e, struct tm_flows *f, struct tm_script *script, struct tm_err *err) {
  e->flows = f;
  e->script = script;
  if (e->look && !e->again) return 0;
  if (e->found) tm_flow_fresh(f);
  if (e->look) return 0;
  streams(e);
  return begun_files(e, err);
}

/* After a kill of all processes: what they had read of a stream since the last epoch is gone with them. */
static void tell_loss(const struct tm_epochs *e) {
  for (int32_t i = 0; i < e->flows->sources_n; i++) {
    const struct tm_source *s = e->flows->sources[i];
    if (s->ring == NULL) continue;
    tm_log_warning("stdin: the run before was ended by force. By its last epoch it had read %lld bytes of standard input, %.0f events; what it read "
                   "behind them is lost, %d MiB at most; how much it was cannot be known", (long long)s->state->offset, s->state->good,
                   TM_INPUT_RING >> 20);
  }
}

int tm_epochs_begin(struct tm_epochs *e, struct tm_err *err) {
  int rc = e->found && (!e->look || e->again) ? tm_flow_ends_back(e->flows, err) : 0;
  if (rc == 0 && e->library != NULL) rc = tm_script_restore(e->script, e->library, e->library_n, err);
  free(e->head);
  e->head = NULL;
  e->library = NULL;
  e->cut_ns = e->io->mono_ns(e->io);
  e->moves = e->shared->moves;
  if (rc != 0 || e->look) return rc;
  if (e->found && !e->shared->stopped) {
    if (e->shared->counters.worker_restarts == 0) tell_loss(e);
    return tm_flow_durable(e->flows, err);
  }
  e->shared->stopped = 0;
  if (tm_epochs_cut(e, 0, err) != 0) return -1;
  while ((rc = tm_epochs_step(e, err)) > 0) {}
  return rc == 0 && wait_synced(e, err) == 0 ? note_durable(e, err) : -1;
}

/* ---- writing ---- */

/* Processor time of the worker's thread: what a pause would be on a machine that nobody else uses. */
static uint64_t cpu_ns(void) {
  struct timespec t;
  return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 ? (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec : 0;
}

/* What a turn spends on an epoch. */
struct work { uint64_t from, cpu_from; };

static struct work work_begin(const struct tm_epochs *e) { return (struct work){e->io->mono_ns(e->io), cpu_ns()}; }

static uint64_t work_end(struct tm_epochs *e, const struct work *w) {
  uint64_t ns = e->io->mono_ns(e->io) - w->from;
  tm_hist_record(&e->shared->epoch_work, ns, 1);
  tm_hist_record(&e->shared->epoch_cpu, cpu_ns() - w->cpu_from, 1);
  return ns;
}

static int failed(const struct tm_epochs *e, struct tm_err *err) {
  return tm_journal_failed(e->journal, err) ? -1 : 0;
}

/* A lack of room on the disk is told once, and that it is over. */
static void tell_room(struct tm_epochs *e) {
  struct tm_err why;
  int room = (int)tm_journal_room(e->journal, &why);
  if (room == e->room) return;
  if (room == TM_JOURNAL_ROOM_NONE) tm_log_warning("%s: %s. Until then nothing is acknowledged and reading pauses", e->dir.path, why.detail);
  else if (e->room == TM_JOURNAL_ROOM_NONE) tm_log_warning("%s: there is room again; the run goes on", e->dir.path);
  else if (room == TM_JOURNAL_ROOM_LOW) tm_log_warning("%s: %s. The run goes on until what was set aside is used", e->dir.path, why.detail);
  e->room = room;
}

/* Waits for the journal: 0, or -1 when the run is to end and the disk has no room, which it does not wait for. */
static int wait_journal(struct tm_epochs *e) {
  struct pollfd p = {.fd = tm_journal_fd(e->journal), .events = POLLIN};
  uint64_t told;
  tell_room(e);
  if (e->room == TM_JOURNAL_ROOM_NONE && e->shared->drain) return -1;
  poll(&p, 1, 100);
  return read(p.fd, &told, sizeof told) < 0 && errno != EAGAIN && errno != EINTR ? -1 : 0;
}

/* To the journal; where more waits to be written than it holds, so does this. What fails is told at the next step. */
static void hand_over(struct tm_epochs *e, const void *bytes, size_t n) {
  e->shared->counters.epoch_bytes += n;
  while (!e->given_up && tm_journal_put(e->journal, bytes, (int64_t)n) == TM_JOURNAL_FULL) e->given_up = wait_journal(e) != 0;
}

static int no_room(const struct tm_epochs *e, struct tm_err *err) {
  struct tm_err why = {.detail = "no room"};
  tm_journal_room(e->journal, &why);
  return tm_err_set(err, 1, "data-room", "%s: the run ends without its last epoch: %s and start again with the same folder: what was done behind "
                    "epoch %llu is done again", e->dir.path, why.detail, (unsigned long long)tm_journal_synced(e->journal));
}

/* Waits until all epochs that ended are durable: 0, or -1 err. */
static int wait_synced(struct tm_epochs *e, struct tm_err *err) {
  int r;
  while ((r = tm_journal_wait(e->journal)) == TM_JOURNAL_FULL)
    if (wait_journal(e) != 0) return no_room(e, err);
  tell_room(e);
  return r == TM_JOURNAL_OK ? 0 : failed(e, err);
}

/* What was gathered: most ranges are a line or two, and each call of the journal takes its lock. */
static void put_gathered(struct tm_epochs *e) {
  if (e->gathered_n > 0) hand_over(e, e->gathered, e->gathered_n);
  e->gathered_n = 0;
}

static void put(struct tm_epochs *e, const void *bytes, size_t n) {
  int large = n > sizeof e->gathered / 2;
  if (large || n > sizeof e->gathered - e->gathered_n) put_gathered(e);
  if (large) {
    hand_over(e, bytes, n);
    return;
  }
  memcpy(e->gathered + e->gathered_n, bytes, n);
  e->gathered_n += n;
}

static void put_range(struct tm_epochs *e, uint64_t offset, const char *bytes, size_t n) {
  unsigned char head[TM_PAYLOAD_RANGE];
  while (n > 0) {
    size_t part = n < PART_BYTES ? n : PART_BYTES;
    tm_payload_range(head, offset, (uint32_t)part);
    put(e, head, sizeof head);
    put(e, bytes, part);
    offset += part;
    bytes += part;
    n -= part;
  }
}

static void emit(void *ctx, uint64_t offset, const void *bytes, size_t n) {
  struct tm_epochs *e = ctx;
  unsigned char head[TM_PAYLOAD_ZERO];
  if (bytes != NULL) {
    put_range(e, offset, bytes, n);
    return;
  }
  tm_payload_zero(head, offset, n);
  put(e, head, sizeof head);
}

static void put_shared(struct tm_epochs *e, const char *at, size_t n) {
  put_range(e, TM_EPOCHS_SHARED + (uint64_t)(at - (const char *)e->shared), at, n);
}

/* Of a piece that lies where it lay, the parts that are not as they were: the counters of all durations are 8 KiB, of which few change. */
static void put_parts(struct tm_epochs *e, struct piece *p, int known) {
  const char *at = p->at;
  size_t parts = (p->n + PART_OF_PIECE - 1) / PART_OF_PIECE, from = 0;
  if (p->parts_n < parts) {
    uint64_t *more = realloc(p->parts, parts * sizeof *more);
    TM_ASSERT(more != NULL);
    p->parts = more;
    p->parts_n = parts;
    known = 0;
  }
  for (size_t i = 0; i <= parts; i++) {
    size_t off = i * PART_OF_PIECE, n = i < parts && p->n - off < PART_OF_PIECE ? p->n - off : PART_OF_PIECE;
    uint64_t hash = i < parts ? XXH3_64bits(at + off, n) : 0;
    if (i < parts && !(known && p->parts[i] == hash)) {
      p->parts[i] = hash;
      continue;
    }
    if (off > from) put_shared(e, at + from, (off < p->n ? off : p->n) - from);
    from = off + PART_OF_PIECE;
  }
}

/* A piece of the shared block, if it is not as it was. */
void tm_epochs_piece(struct tm_keeper *k, const void *at, size_t n) {
  struct tm_epochs *e = (struct tm_epochs *)(void *)k;
  uint64_t hash = XXH3_64bits(at, n);
  if (e->piece == e->pieces_cap) {
    int32_t cap = e->pieces_cap * 2 + 64;
    struct piece *more = realloc(e->pieces, (size_t)cap * sizeof *more);
    TM_ASSERT(more != NULL);
    memset(more + e->pieces_cap, 0, (size_t)(cap - e->pieces_cap) * sizeof *more);
    e->pieces = more;
    e->pieces_cap = cap;
  }
  struct piece *p = &e->pieces[e->piece++];
  int known = e->piece <= e->pieces_n && p->at == at && p->n == n;
  if (known && p->hash == hash) return;
  p->at = at;
  p->n = n;
  p->hash = hash;
  if (n > PART_OF_PIECE && n <= PIECE_IN_PARTS) put_parts(e, p, known);
  else put_shared(e, at, n);
}

static void put_epoch_head(struct tm_epochs *e, int ended) {
  msgpack_sbuffer b;
  msgpack_packer pk;
  unsigned char start[TM_PAYLOAD_START];
  msgpack_sbuffer_init(&b);
  msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
  msgpack_pack_map(&pk, 4);
  msgpack_pack_str_with_body(&pk, "generation", 10);
  msgpack_pack_int32(&pk, e->shared->generation);
  msgpack_pack_str_with_body(&pk, "version", 7);
  msgpack_pack_str_with_body(&pk, TM_VERSION, strlen(TM_VERSION));
  msgpack_pack_str_with_body(&pk, "ended", 5);
  if (ended) msgpack_pack_true(&pk);
  else msgpack_pack_false(&pk);
  msgpack_pack_str_with_body(&pk, "library", 7);
  msgpack_pack_bin_with_body(&pk, e->text.data, (size_t)e->text.len);
  tm_payload_start(start, (uint32_t)b.size);
  put(e, start, sizeof start);
  put(e, b.data, b.size);
  msgpack_sbuffer_destroy(&b);
}

/* Descriptors of all files that were written since; the journal's thread closes them. */
static void files_to_sync(struct tm_epochs *e) {
  for (int32_t i = 0; i < e->flows->outlets_n; i++)
    e->syncs_n += tm_sink_written(&e->flows->outlets[i]->sink, e->syncs + e->syncs_n, TM_EPOCHS_SYNCS - e->syncs_n);
}

int tm_epochs_full(const struct tm_epochs *e) {
  return e != NULL && !e->look && tm_journal_room(e->journal, NULL) == TM_JOURNAL_ROOM_NONE;
}

int tm_epochs_due(const struct tm_epochs *e) {
  uint64_t due = tm_epochs_due_ns(e);
  return due > 0 && e->io->mono_ns(e->io) >= due;
}

/* When somebody waits: soon, but epochs take a WORK_PART of the worker's time at most. */
uint64_t tm_epochs_due_ns(const struct tm_epochs *e) {
  if (e->look || e->copying || e->moves == e->shared->moves || e->noted != e->last) return 0;
  uint64_t after = e->epoch_ns;
  if (tm_flow_waits(e->flows)) {
    uint64_t least = e->work_ns * WORK_PART;
    if (least < e->epoch_min_ns) least = e->epoch_min_ns;
    if (least < after) after = least;
  }
  return e->cut_ns + after;
}

int tm_epochs_fd(const struct tm_epochs *e) { return e->look ? -1 : tm_journal_fd(e->journal); }

void tm_epochs_hear(struct tm_epochs *e) {
  uint64_t told;
  if (read(tm_journal_fd(e->journal), &told, sizeof told) < 0) return;  /* somebody has taken it away */
}

int tm_epochs_cut(struct tm_epochs *e, int ended, struct tm_err *err) {
  TM_ASSERT(!e->copying && e->shared->undo.used == 0);
  if (wait_synced(e, err) != 0 || note_durable(e, err) != 0) return -1;
  struct work work = work_begin(e);
  if (tm_journal_begin(e->journal) != TM_JOURNAL_OK) return failed(e, err);
  e->shared->counters.epochs++;
  e->text.len = 0;
  if (tm_script_save(e->script, &e->text, err) != 0) return -1;
  tm_flow_count(e->flows);
  put_epoch_head(e, ended);
  e->piece = 0;
  tm_flow_keep(e->flows, &e->keeper);
  tm_shared_keep(e->shared, &e->keeper);  /* behind it, as it may make regions */
  e->pieces_n = e->piece;
  if (tm_arena_cut(e->arena) != 0) return tm_err_set(err, 1, "data", "more than 64 GiB of state have changed in one epoch");
  if (tm_arena_check_wanted()) tm_arena_check(e->arena);
  files_to_sync(e);
  e->copying = 1;
  e->cut_ns = e->io->mono_ns(e->io);
  e->moves = e->shared->moves;
  e->work_ns = work_end(e, &work);
  return 0;
}

/* ---- snapshots: another process makes them ---- */

static int snapshots(struct tm_epochs *e, struct tm_err *err) {
  uint64_t newest = e->snapshots.n > 0 ? e->snapshots.kept[0].epoch : 0;
  if (e->snapshot > 0) {
    int status;
    pid_t rc = waitpid(e->snapshot, &status, WNOHANG);
    if (rc == 0 || (rc < 0 && errno == EINTR)) return 0;
    e->snapshot = 0;  /* ended; libev may have taken its status, so the manifest is asked */
    if (tm_snapshot_list_read(e->io, e->dir.path, e->dir.id, &e->snapshots, err) != 0) return -1;
    if (e->snapshots.n == 0 || e->snapshots.kept[0].epoch == newest) e->snapshot_ns = e->io->mono_ns(e->io) + SNAPSHOT_AGAIN_NS;
    if (e->snapshots.n == TM_SNAPSHOT_KEPT) tm_journal_release(e->journal, e->snapshots.kept[TM_SNAPSHOT_KEPT - 1].epoch);
    return 0;
  }
  if (!tm_snapshot_due(&e->snapshots, tm_journal_bytes_after(e->journal, newest)) || e->io->mono_ns(e->io) < e->snapshot_ns) return 0;
  struct tm_err why;
  pid_t pid = tm_snapshot_start(e->dir.path, &why);
  if (pid > 0) e->snapshot = pid;
  else tm_log_warning("%s: no snapshot can be made now: %s", e->dir.path, why.detail);
  return 0;
}

/* The last epoch has become durable: who waits for it is told, and what it makes superfluous goes. */
static int note_durable(struct tm_epochs *e, struct tm_err *err) {
  uint64_t synced = tm_journal_synced(e->journal);
  if (synced == e->noted) return 0;
  if (synced == e->last && tm_flow_durable(e->flows, err) != 0) return -1;
  e->noted = synced;
  e->shared->epoch = (double)synced;
  return snapshots(e, err);
}

int tm_epochs_step(struct tm_epochs *e, struct tm_err *err) {
  if (e->look) return 0;
  if (failed(e, err) != 0 || note_durable(e, err) != 0) return -1;
  tell_room(e);
  if (!e->copying) return 0;
  struct work work = work_begin(e);
  int more = tm_arena_copy(e->arena, emit, e, SLICE_BYTES);
  if (!more) put_gathered(e);
  if (e->given_up) return failed(e, err) != 0 ? -1 : no_room(e, err);
  if (!more) {
    e->copying = 0;
    e->last = tm_journal_end(e->journal);
  }
  e->work_ns += work_end(e, &work);
  if (more) return 1;
  return e->last != 0 ? 0 : failed(e, err);
}

int tm_epochs_cover(struct tm_epochs *e, struct tm_err *err) {
  int rc;
  if (e->look || !tm_flow_held_back(e->flows)) return 0;
  while ((rc = tm_epochs_step(e, err)) > 0) {}
  if (rc == 0) rc = tm_epochs_cut(e, 0, err);
  while (rc == 0 && (rc = tm_epochs_step(e, err)) > 0) rc = 0;
  return rc == 0 && wait_synced(e, err) == 0 ? note_durable(e, err) : -1;
}

int tm_epochs_settle(struct tm_epochs *e, struct tm_err *err) {
  return e->look ? 0 : wait_synced(e, err);
}

int tm_epochs_finish(struct tm_epochs *e, struct tm_err *err) {
  if (wait_synced(e, err) != 0 || note_durable(e, err) != 0) return -1;
  int rc = tm_journal_close(e->journal, err);
  e->journal = NULL;
  return rc;
}

/* ---- another process goes on ---- */

int tm_epochs_settled(const struct tm_epochs *e) { return !e->copying && tm_journal_synced(e->journal) == e->last; }

void tm_epochs_rest(struct tm_epochs *e) {
  TM_ASSERT(tm_epochs_settled(e));
  tm_journal_pause(e->journal);
}

int tm_epochs_wake(struct tm_epochs *e, struct tm_err *err) { return tm_journal_start(e->journal, err); }

int tm_epochs_fds(const struct tm_epochs *e, int *fds, int most) {
  int n = 0;
  if (most > 0) fds[n++] = e->dir.lock_fd;
  return n + tm_journal_fds(e->journal, fds + n, most - n);
}

int tm_epochs_heir(struct tm_epochs *e, struct tm_flows *f, struct tm_script *script, struct tm_err *err) {
  e->flows = f;
  e->script = script;
  e->pieces_n = 0;        /* they lie elsewhere: all are written again */
  e->snapshot = 0;
  e->syncs_n = 0;
  e->shared->moves++;
  streams(e);
  return begun_files(e, err);
}
