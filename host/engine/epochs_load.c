/* epochs_load.c - putting back what a data folder keeps (epochs.h): the newest snapshot and the epochs behind it, into the arena and
 * the shared block. It runs no Lua. */
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/log.h"
#include "../durable/journal.h"
#include "../durable/witness.h"
#include "../state/arena.h"
#include "epochs_own.h"

enum { LIBRARY_MAX = 128 << 20, IN_USE_TRIES = 100, ROOM_AGAIN_MS = 200 };

/* What the folder's meta remembers beside the arena's address. */
struct caller { uint64_t reserve, shared_at; };

void *tm_epochs_shared_at(void) { return TM_EPOCHS_SHARED_AT; }
int tm_epochs_looks(const struct tm_epochs *e) { return e != NULL && e->look; }
int tm_epochs_goes_again(const struct tm_epochs *e) { return e != NULL && e->again; }
int tm_epochs_found(const struct tm_epochs *e) { return e != NULL && e->found; }
int tm_epochs_ended(const struct tm_epochs *e) { return e != NULL && e->ended; }
int32_t tm_epochs_generation(const struct tm_epochs *e) { return e != NULL ? e->generation : 0; }

/* ---- putting back ---- */

static int put_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  if (offset >= TM_EPOCHS_SHARED && e->look && !e->again) return 0;
  if (offset >= TM_EPOCHS_SHARED) {
    size_t size = e->shared_size, at = (size_t)(offset - TM_EPOCHS_SHARED);
    if (at > size || (size_t)n > size - at) return tm_err_set(err, 1, "data", "%s: an epoch has bytes outside of the run's memory", e->dir.path);
    memcpy((char *)e->shared + at, bytes, (size_t)n);
    return 0;
  }
  if (tm_arena_apply(e->arena, offset, bytes, (size_t)n) == 0) return 0;
  return tm_err_set(err, 1, "data", "%s: state cannot be put back: no memory, or it lies outside of the arena", e->dir.path);
}

static int put_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  struct tm_epochs *e = ctx;
  if (offset < TM_EPOCHS_SHARED && tm_arena_zero(e->arena, offset, n) == 0) return 0;
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
    if (k->via.str.size == 10 && memcmp(k->via.str.ptr, "generation", 10) == 0 && v->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
        v->via.u64 < INT32_MAX)
      e->generation = (int32_t)v->via.u64;
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

/* ---- a disk that is full at the start ---- */

/* err: what could not be done. Where that is for a lack of room on the disk it waits a moment, and 1: try again, as whoever starts the run
 * wants it to go on when there is room; it is told once. 0: it has to end. */
static int wait_room(struct tm_epochs *e, struct tm_err *err) {
  const struct timespec a_moment = {0, ROOM_AGAIN_MS * 1000 * 1000};
  if (strcmp(err->id, "data-room") != 0 && strcmp(err->id, "journal-room") != 0) return 0;
  if (e->shared->drain) return 0;
  if (e->room != TM_JOURNAL_ROOM_NONE) tm_log_warning("%s: %s. The run begins when there is room", e->dir.path, err->detail);
  e->room = TM_JOURNAL_ROOM_NONE;
  nanosleep(&a_moment, NULL);
  return 1;
}

static void tell_room_again(struct tm_epochs *e) {
  if (e->room == TM_JOURNAL_ROOM_NONE) tm_log_warning("%s: there is room again; the run goes on", e->dir.path);
  e->room = TM_JOURNAL_ROOM_GOOD;
}

/* A folder that is new gets its meta; of another one it says where the arena lies. */
static int make_arena(struct tm_epochs *e, struct tm_err *err) {
  struct caller c = {0, (uint64_t)(uintptr_t)e->shared};
  if (e->dir.has_meta) {
    if (e->dir.caller_n != sizeof c) return tm_err_set(err, 1, "data", "%s: its meta is not that of this program", e->dir.path);
    memcpy(&c, e->dir.caller, sizeof c);
    if ((!e->look || e->again) && c.shared_at != (uint64_t)(uintptr_t)e->shared)
      return tm_err_set(err, 1, "data", "%s: was written by a program that lies elsewhere in memory; use that version", e->dir.path);
    e->arena = tm_arena_new((const void *)(uintptr_t)e->dir.address, (size_t)c.reserve, err);
    return e->arena != NULL ? 0 : -1;
  }
  uint64_t seed = 0;
  e->io->random(e->io, &seed, sizeof seed);
  e->arena = tm_arena_new(NULL, 0, err);
  if (e->arena == NULL) return -1;
  c.reserve = tm_arena_reserve(e->arena);
  int rc;
  do rc = tm_data_dir_meta_write(&e->dir, (uint64_t)(uintptr_t)tm_arena_base(e->arena), seed, &c, sizeof c, err);
  while (rc != 0 && wait_room(e, err));
  return rc;
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

/* A block of a snapshot has zeroes where nothing was kept. So of the shared block itself the pieces that are kept come from the folder, and all
 * else, which control or this process knows, is as it was. */
struct merge {
  struct tm_keeper keeper;         /* first, as pieces find the rest from it */
  const struct tm_shared *from;
  struct tm_shared *to;
};

static void merge_piece(struct tm_keeper *k, const void *at, size_t n) {
  const struct merge *m = (const struct merge *)(const void *)k;
  uintptr_t off = (uintptr_t)at - (uintptr_t)m->from;
  if (off < sizeof *m->to) memcpy((char *)m->to + off, at, n);
}

static void merge_shared(struct tm_shared *s, struct tm_shared *was) {
  struct merge m = {{merge_piece}, s, was};
  s->arena = was->arena;
  s->arena_size = was->arena_size;
  tm_shared_keep(s, &m.keeper);
  was->drain |= s->drain;          /* control may have asked for it meanwhile */
  memcpy(s, was, sizeof *s);
}

/* snapshot_of: the epoch of the one that is looked at, 0 the newest; below 0: the last durable epoch is. */
static int load(struct tm_epochs *e, int64_t snapshot_of, struct tm_err *err) {
  const struct tm_data_load to = {.ctx = e, .bytes = put_bytes, .zero = put_zero, .head = put_head};
  if (snapshot_of >= 0) return tm_data_load_snapshot(&e->dir, &to, (uint64_t)snapshot_of, err);
  struct tm_journal_scan scan;
  uint64_t snapshot;
  struct tm_shared *was = malloc(sizeof *was);
  if (was == NULL) return tm_err_set(err, 1, "memory", "no memory to put back what %s keeps", e->dir.path);
  memcpy(was, e->shared, sizeof *was);
  int rc = tm_data_load(&e->dir, &to, &e->last, &snapshot, &scan, err);
  if (rc == 0 && !e->look) merge_shared(e->shared, was);
  free(was);
  if (rc != 0) return -1;
  if (!e->found && scan.witness != TM_WITNESS_NONE) {  /* an epoch was durable: this is no run that has not yet begun */
    tm_journal_scan_fini(e->io, &scan);
    return tm_err_set(err, 1, "data-gone", "%s: a run was kept there, and its journal is gone: it cannot go on. Put back a copy of the whole folder, "
                      "or start anew with --reset", e->dir.path);
  }
  if (e->look) {
    tm_journal_scan_fini(e->io, &scan);
    return e->found ? 0 : tm_err_set(err, 1, "data", "%s: nothing is kept there yet", e->dir.path);
  }
  const struct tm_journal_options o = {.io = e->io, .dir = e->dir.path, .id = e->dir.id, .before_sync = tm_epochs_sync_files, .ctx = e};
  do e->journal = tm_journal_open(&o, &scan, snapshot, err);
  while (e->journal == NULL && wait_room(e, err));
  tell_room_again(e);
  tm_journal_scan_fini(e->io, &scan);
  if (e->journal == NULL || tm_snapshot_list_read(e->io, e->dir.path, e->dir.id, &e->snapshots, err) != 0) return -1;
  return tm_journal_start(e->journal, err);
}

/* The same of an epoch that is over, with the places of sources. */
static int load_back(struct tm_epochs *e, const struct tm_options *o, struct tm_err *err) {
  struct tm_data_load to = {.ctx = e, .bytes = put_bytes, .zero = put_zero, .head = put_head};
  struct tm_journal_scan scan;
  uint64_t snapshot;
  if (tm_epochs_back_find(e, o, &to.until, err) != 0) return -1;
  if (to.until == 0) return 0;
  struct tm_shared *was = malloc(sizeof *was);
  if (was == NULL) return tm_err_set(err, 1, "memory", "no memory to put back what %s keeps", e->dir.path);
  memcpy(was, e->shared, sizeof *was);
  int rc = tm_data_load(&e->dir, &to, &e->last, &snapshot, &scan, err);
  if (rc == 0) {
    tm_journal_scan_fini(e->io, &scan);
    merge_shared(e->shared, was);
    tm_epochs_back_settle(e);
  }
  free(was);
  return rc;
}

/* A process that was killed a moment ago may still hold the folder: whoever starts the run again at once waits for it. */
static int open_dir(struct tm_epochs *e, const char *path, int how, struct tm_err *err) {
  const struct timespec while_it_ends = {0, 20 * 1000 * 1000};
  for (int i = 0; tm_data_dir_open(&e->dir, e->io, path, how, err) != 0; i++) {
    if (wait_room(e, err)) continue;
    if (strcmp(err->id, "data-in-use") != 0 || i >= IN_USE_TRIES) return -1;
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
  e->keeper.piece = tm_epochs_piece;
  e->io = &tm_io_real;
  e->shared = shared;
  e->shared_size = sizeof *shared + shared->arena_size;
  e->epoch_ns = (uint64_t)o->epoch_ms * 1000000U;
  e->epoch_min_ns = (uint64_t)o->epoch_min_ms * 1000000U;
  tm_buf_init(&e->text, LIBRARY_MAX);
  clear_shared(shared);
  e->look = o->state != NULL;
  e->again = e->look && strcmp(o->state, "why") == 0;
  /* what a worker of this run has kept is not forgotten by the next one */
  if (open_dir(e, o->data, e->look ? TM_DATA_LOOK : o->reset && restarts == 0 ? TM_DATA_RESET : TM_DATA_USE, err) != 0) return NULL;
  if (make_arena(e, err) != 0 || (e->again ? load_back(e, o, err) : load(e, e->look ? o->snapshot : -1, err)) != 0) return NULL;
  e->noted = e->last;
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
