/* epochs.c - cutting epochs, handing them to the journal, and putting back what the folder holds (epochs.h).
 *
 * An epoch's payload (durable/payload.h) has offsets of two kinds: below SHARED those of the arena, from SHARED on those of the shared
 * block. Of the block pieces are named (tm_flow_keep, tm_shared_keep); one that is what it was in the epoch before, by its hash, is not written
 * again. The head is a map of msgpack: version of the program, ended, library.
 *
 * One epoch is under way at a time: cut, copied, written, synced. The files that sinks have written are synced on the
 * journal's thread before the epoch that counts their bytes is. */
#include "epochs.h"

#include <errno.h>
#include <msgpack.h>
#include <poll.h>
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

enum { SLICE_BYTES = 256 * 1024, PART_BYTES = 1 << 20, LIBRARY_MAX = 128 << 20, SYNCS_MAX = 4096, IN_USE_TRIES = 100 };
#define SHARED_AT ((void *)(uintptr_t)0x1f0000000000)
#define SHARED (UINT64_C(1) << 45)

/* What the folder's meta remembers beside the arena's address. */
struct caller { uint64_t reserve, shared_at; };

/* A piece of the shared block as it was kept last. */
struct piece {
  const void *at;
  size_t n;
  uint64_t hash;
};

struct tm_epochs {
  struct tm_keeper keeper;         /* first, as pieces find the rest from it */
  const struct tm_io *io;
  struct tm_shared *shared;
  struct tm_flows *flows;
  struct tm_script *script;
  struct tm_data_dir dir;
  struct tm_arena *arena;
  struct tm_journal *journal;
  struct tm_snapshot_list snapshots;
  pid_t snapshot;                  /* the process that makes the next one; 0 none */
  int look;                        /* nothing is written */
  int found, ended;
  char *head;                      /* of the epoch that was put back */
  const char *library;             /* in it */
  size_t library_n;
  uint64_t epoch_ns;
  uint64_t cut_ns;                 /* when the last one was cut */
  uint64_t moves;                  /* of the shared block then */
  uint64_t last;                   /* the last that was ended */
  int copying;
  struct tm_buf text;              /* the library's, for the head */
  struct piece *pieces;
  int32_t pieces_n, pieces_cap, piece;
  int syncs[SYNCS_MAX];            /* descriptors, ours, to be synced before the epoch under way */
  int32_t syncs_n;
};

void *tm_epochs_shared_at(void) { return SHARED_AT; }
int tm_epochs_looks(const struct tm_epochs *e) { return e != NULL && e->look; }
int tm_epochs_found(const struct tm_epochs *e) { return e != NULL && e->found; }
int tm_epochs_ended(const struct tm_epochs *e) { return e != NULL && e->ended; }

/* ---- putting back ---- */

static int put_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  if (offset >= SHARED && e->look) return 0;
  if (offset >= SHARED) {
    size_t size = sizeof *e->shared + e->shared->arena_size, at = (size_t)(offset - SHARED);
    if (at > size || (size_t)n > size - at) return tm_err_set(err, 1, "data", "%s: an epoch has bytes outside of the run's memory", e->dir.path);
    memcpy((char *)e->shared + at, bytes, (size_t)n);
    return 0;
  }
  if (tm_arena_apply(e->arena, offset, bytes, (size_t)n) == 0) return 0;
  return tm_err_set(err, 1, "data", "%s: state cannot be put back: no memory, or it lies outside of the arena", e->dir.path);
}

static int put_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  if (offset < SHARED && tm_arena_zero(e->arena, offset, n) == 0) return 0;
  return tm_err_set(err, 1, "data", "%s: an epoch has zeroes outside of the arena", e->dir.path);
}

static int put_head(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  msgpack_unpacked u;
  size_t off = 0;
  e->head = malloc((size_t)n + 1);
  if (e->head == NULL) return tm_err_set(err, 1, "memory", "no memory for what %s keeps", e->dir.path);
  memcpy(e->head, head, (size_t)n);
  msgpack_unpacked_init(&u);
  int ok = msgpack_unpack_next(&u, e->head, (size_t)n, &off) == MSGPACK_UNPACK_SUCCESS && u.data.type == MSGPACK_OBJECT_MAP;
  for (uint32_t i = 0; ok && i < u.data.via.map.size; i++) {
    const msgpack_object *k = &u.data.via.map.ptr[i].key, *v = &u.data.via.map.ptr[i].val;
    if (k->type != MSGPACK_OBJECT_STR) continue;
    if (k->via.str.size == 5 && memcmp(k->via.str.ptr, "ended", 5) == 0) e->ended = v->type == MSGPACK_OBJECT_BOOLEAN && v->via.boolean;
    if (k->via.str.size == 7 && memcmp(k->via.str.ptr, "library", 7) == 0 && v->type == MSGPACK_OBJECT_BIN) {
      e->library = v->via.bin.ptr;  /* in e->head, which strings are not copied out of */
      e->library_n = v->via.bin.size;
    }
  }
  msgpack_unpacked_destroy(&u);
  if (!ok) return tm_err_set(err, 1, "data", "%s: the head of epoch %llu is none", e->dir.path, (unsigned long long)epoch);
  e->found = 1;
  return 0;
}

/* A folder that is new gets its meta; of another one it says where the arena lies. */
static int make_arena(struct tm_epochs *e, struct tm_err *err) {
  struct caller c = {0, (uint64_t)(uintptr_t)e->shared};
  if (e->dir.has_meta) {
    if (e->dir.caller_n != sizeof c) return tm_err_set(err, 1, "data", "%s: its meta is not that of this program", e->dir.path);
    memcpy(&c, e->dir.caller, sizeof c);
    if (!e->look && c.shared_at != (uint64_t)(uintptr_t)e->shared)
      return tm_err_set(err, 1, "data", "%s: was written by a program that lies elsewhere in memory; use that version", e->dir.path);
    e->arena = tm_arena_new((const void *)(uintptr_t)e->dir.address, (size_t)c.reserve, err);
    return e->arena != NULL ? 0 : -1;
  }
  uint64_t seed = 0;
  e->io->random(e->io, &seed, sizeof seed);
  e->arena = tm_arena_new(NULL, 0, err);
  if (e->arena == NULL) return -1;
  c.reserve = tm_arena_reserve(e->arena);
  return tm_data_dir_meta_write(&e->dir, (uint64_t)(uintptr_t)tm_arena_base(e->arena), seed, &c, sizeof c, err);
}

/* The block as it is when a run begins, but for what control has to know of this one. */
static void clear_shared(struct tm_shared *s) {
  int32_t drain = s->drain;
  uint64_t moves = s->moves, plan = s->plan;
  tm_shared_clear(s);
  s->drain = drain;
  s->plan = plan;
  s->moves = moves;
}

static int sync_files(void *ctx, uint64_t epoch, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  int rc = 0;
  (void)epoch;
  for (int32_t i = 0; i < e->syncs_n; i++) {
    int r = rc == 0 ? e->io->fdatasync(e->io, e->syncs[i]) : 0;
    if (r < 0 && r != -EINVAL && r != -EROFS) rc = tm_err_set(err, 1, "sync", "a file that was written cannot be synced: %s", strerror(-r));
    e->io->close(e->io, e->syncs[i]);
  }
  e->syncs_n = 0;
  return rc == 0 ? tm_flow_sync(e->flows, err) : rc;
}

static int load(struct tm_epochs *e, struct tm_err *err) {
  const struct tm_data_load to = {e, put_bytes, put_zero, put_head};
  struct tm_journal_scan scan;
  uint64_t snapshot;
  if (tm_data_load(&e->dir, &to, &e->last, &snapshot, &scan, err) != 0) return -1;
  if (e->look) {
    tm_journal_scan_fini(e->io, &scan);
    return e->found ? 0 : tm_err_set(err, 1, "data", "%s: nothing is kept there yet", e->dir.path);
  }
  const struct tm_journal_options o = {.io = e->io, .dir = e->dir.path, .id = e->dir.id, .before_sync = sync_files, .ctx = e};
  e->journal = tm_journal_open(&o, &scan, snapshot, err);
  tm_journal_scan_fini(e->io, &scan);
  if (e->journal == NULL || tm_snapshot_list_read(e->io, e->dir.path, e->dir.id, &e->snapshots, err) != 0) return -1;
  return tm_journal_start(e->journal, err);
}

static void piece(struct tm_keeper *k, const void *at, size_t n);
static int failed(const struct tm_epochs *e, struct tm_err *err);

/* A process that was killed a moment ago may still hold the folder: whoever starts the run again at once waits for it. */
static int open_dir(struct tm_epochs *e, const char *path, struct tm_err *err) {
  const struct timespec while_it_ends = {0, 20 * 1000 * 1000};
  for (int i = 0; tm_data_dir_open(&e->dir, e->io, path, e->look ? TM_DATA_LOOK : TM_DATA_USE, err) != 0; i++) {
    if (strcmp(err->id, "data-in-use") != 0 || i == IN_USE_TRIES) return -1;
    nanosleep(&while_it_ends, NULL);
  }
  return 0;
}

struct tm_epochs *tm_epochs_open(const struct tm_options *o, struct tm_shared *shared, struct tm_err *err) {
  struct tm_epochs *e = calloc(1, sizeof *e);
  uint64_t restarts = shared->counters.worker_restarts, kills = shared->counters.worker_kills_deadline;
  if (e == NULL) {
    tm_err_set(err, 1, "memory", "no memory to keep the run");
    return NULL;
  }
  e->keeper.piece = piece;
  e->io = &tm_io_real;
  e->shared = shared;
  e->epoch_ns = (uint64_t)o->epoch_ms * 1000000U;
  tm_buf_init(&e->text, LIBRARY_MAX);
  clear_shared(shared);
  int reset = o->reset && restarts == 0;
  e->look = o->state != NULL;
  if (open_dir(e, o->data, err) != 0) return NULL;
  if (reset && tm_data_dir_reset(&e->dir, err) != 0) return NULL;
  if (make_arena(e, err) != 0 || load(e, err) != 0) return NULL;
  shared->counters.worker_restarts = restarts;
  shared->counters.worker_kills_deadline = kills;
  return e;
}

struct tm_changes *tm_epochs_changes(struct tm_epochs *e, struct tm_budget *budget, double seed, struct tm_err *err) {
  if (e->found) return tm_changes_resume(e->arena, budget, err);
  struct tm_changes *c = tm_changes_new_in(e->arena, budget, seed);
  if (c == NULL) tm_err_set(err, 1, "memory", "no memory for the worker");
  return c;
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

int tm_epochs_prepare(struct tm_epochs *e, struct tm_flows *f, struct tm_script *script, struct tm_err *err) {
  e->flows = f;
  e->script = script;
  if (e->look) return 0;
  if (e->found) tm_flow_fresh(f);
  return begun_files(e, err);
}

int tm_epochs_begin(struct tm_epochs *e, struct tm_err *err) {
  int rc = e->found && !e->look ? tm_flow_ends_back(e->flows, err) : 0;
  if (rc == 0 && e->library != NULL) rc = tm_script_restore(e->script, e->library, e->library_n, err);
  free(e->head);
  e->head = NULL;
  e->library = NULL;
  e->cut_ns = e->io->mono_ns(e->io);
  e->moves = e->shared->moves;
  if (rc != 0 || e->look || (e->found && !e->shared->stopped)) return rc;
  e->shared->stopped = 0;
  if (tm_epochs_cut(e, 0, err) != 0) return -1;
  while ((rc = tm_epochs_step(e, err)) > 0) {}
  return rc == 0 && tm_journal_wait(e->journal) == TM_JOURNAL_OK ? 0 : failed(e, err);
}

/* ---- writing ---- */

static int failed(const struct tm_epochs *e, struct tm_err *err) {
  return tm_journal_failed(e->journal, err) ? -1 : 0;
}

/* To the journal; where more waits to be written than it holds, so does this. What fails is told at the next step. */
static void put(struct tm_epochs *e, const void *bytes, size_t n) {
  struct pollfd p = {.fd = tm_journal_fd(e->journal), .events = POLLIN};
  uint64_t told;
  while (tm_journal_put(e->journal, bytes, (int64_t)n) == TM_JOURNAL_FULL) {
    poll(&p, 1, 100);
    if (read(p.fd, &told, sizeof told) < 0 && errno != EAGAIN && errno != EINTR) return;
  }
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

/* A piece of the shared block, if it is not as it was. */
static void piece(struct tm_keeper *k, const void *at, size_t n) {
  struct tm_epochs *e = (struct tm_epochs *)(void *)k;
  struct piece now = {at, n, XXH3_64bits(at, n)};
  if (e->piece == e->pieces_cap) {
    int32_t cap = e->pieces_cap * 2 + 64;
    struct piece *more = realloc(e->pieces, (size_t)cap * sizeof *more);
    TM_ASSERT(more != NULL);
    e->pieces = more;
    e->pieces_cap = cap;
  }
  struct piece *was = &e->pieces[e->piece++];
  int same = e->piece <= e->pieces_n && was->at == at && was->n == n && was->hash == now.hash;
  *was = now;
  if (!same) put_range(e, SHARED + (uint64_t)((const char *)at - (const char *)e->shared), at, n);
}

static void put_epoch_head(struct tm_epochs *e, int ended) {
  msgpack_sbuffer b;
  msgpack_packer pk;
  unsigned char start[TM_PAYLOAD_START];
  msgpack_sbuffer_init(&b);
  msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
  msgpack_pack_map(&pk, 3);
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
    e->syncs_n += tm_sink_written(&e->flows->outlets[i]->sink, e->syncs + e->syncs_n, SYNCS_MAX - e->syncs_n);
}

int tm_epochs_due(const struct tm_epochs *e) {
  uint64_t due = tm_epochs_due_ns(e);
  return due > 0 && e->io->mono_ns(e->io) >= due;
}

uint64_t tm_epochs_due_ns(const struct tm_epochs *e) {
  if (e->look || e->copying || e->moves == e->shared->moves || tm_journal_synced(e->journal) != e->last) return 0;
  return e->cut_ns + e->epoch_ns;
}

int tm_epochs_cut(struct tm_epochs *e, int ended, struct tm_err *err) {
  TM_ASSERT(!e->copying && e->shared->undo.used == 0);
  while (tm_journal_synced(e->journal) != e->last && tm_journal_wait(e->journal) == TM_JOURNAL_OK) {}
  if (failed(e, err) != 0 || tm_journal_begin(e->journal) != TM_JOURNAL_OK) return failed(e, err);
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
    if (e->snapshots.n == TM_SNAPSHOT_KEPT) tm_journal_release(e->journal, e->snapshots.kept[TM_SNAPSHOT_KEPT - 1].epoch);
    return 0;
  }
  if (!tm_snapshot_due(&e->snapshots, tm_journal_bytes_after(e->journal, newest))) return 0;
  struct tm_err why;
  pid_t pid = tm_snapshot_start(e->dir.path, &why);
  if (pid > 0) e->snapshot = pid;
  else tm_log_warning("%s: no snapshot can be made now: %s", e->dir.path, why.detail);
  return 0;
}

int tm_epochs_step(struct tm_epochs *e, struct tm_err *err) {
  if (e->look) return 0;
  uint64_t synced = tm_journal_synced(e->journal);
  if (failed(e, err) != 0) return -1;
  if ((double)synced != e->shared->epoch) {
    e->shared->epoch = (double)synced;
    if (snapshots(e, err) != 0) return -1;
  }
  if (!e->copying) return 0;
  if (tm_arena_copy(e->arena, emit, e, SLICE_BYTES)) return 1;
  e->copying = 0;
  e->last = tm_journal_end(e->journal);
  return e->last != 0 ? 0 : failed(e, err);
}

int tm_epochs_settle(struct tm_epochs *e, struct tm_err *err) {
  return e->look || tm_journal_wait(e->journal) == TM_JOURNAL_OK ? 0 : failed(e, err);
}

int tm_epochs_finish(struct tm_epochs *e, struct tm_err *err) {
  if (tm_journal_wait(e->journal) != TM_JOURNAL_OK) return failed(e, err);
  e->shared->epoch = (double)tm_journal_synced(e->journal);
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
  e->cut_ns = 0;          /* at once: what was loaded is part of the run from here on */
  e->snapshot = 0;
  e->syncs_n = 0;
  e->shared->moves++;
  return begun_files(e, err);
}
