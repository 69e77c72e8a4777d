/* kept.c - how the run of a data folder stands, from its files (kept.h). */
#include "kept.h"

#include <msgpack.h>
#include <stdio.h>
#include <string.h>

#include "../durable/witness.h"
#include "../io/source.h"
#include "epochs_own.h"
#include "flow_plan.h"

static int take_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  const struct tm_kept *k = ctx;
  if (offset < TM_EPOCHS_SHARED) return 0;
  uint64_t at = offset - TM_EPOCHS_SHARED, size = sizeof *k->shared + k->arena_size;
  if (at > size || (uint64_t)n > size - at) return tm_err_set(err, 1, "data", "%s: an epoch has bytes outside of the run's memory", k->dir.path);
  /* where the block itself lies is this process's, and is put back behind all */
  memcpy((char *)k->shared + at, bytes, (size_t)n);
  return 0;
}

static int take_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  (void)ctx, (void)offset, (void)n, (void)err;
  return 0;
}

static int is_key(const msgpack_object *k, const char *name) {
  return k->type == MSGPACK_OBJECT_STR && k->via.str.size == strlen(name) && memcmp(k->via.str.ptr, name, k->via.str.size) == 0;
}

static int take_head(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *err) {
  struct tm_kept *k = ctx;
  msgpack_unpacked u;
  size_t off = 0;
  msgpack_unpacked_init(&u);
  int ok = msgpack_unpack_next(&u, head, (size_t)n, &off) == MSGPACK_UNPACK_SUCCESS && u.data.type == MSGPACK_OBJECT_MAP;
  for (uint32_t i = 0; ok && i < u.data.via.map.size; i++) {
    const msgpack_object *key = &u.data.via.map.ptr[i].key, *v = &u.data.via.map.ptr[i].val;
    if (is_key(key, "ended")) k->ended = v->type == MSGPACK_OBJECT_BOOLEAN && v->via.boolean;
    if (is_key(key, "version") && v->type == MSGPACK_OBJECT_STR)
      snprintf(k->version, sizeof k->version, "%.*s", (int)(v->via.str.size < 31 ? v->via.str.size : 31), v->via.str.ptr);
  }
  msgpack_unpacked_destroy(&u);
  k->epoch = epoch;
  return ok ? 0 : tm_err_set(err, 1, "data", "%s: the head of epoch %llu is none", k->dir.path, (unsigned long long)epoch);
}

int tm_kept_load(struct tm_kept *k, const char *path, struct tm_err *err) {
  const struct tm_data_load to = {.ctx = k, .bytes = take_bytes, .zero = take_zero, .head = take_head};
  struct tm_journal_scan scan;
  uint64_t epoch;
  memset(k, 0, sizeof *k);
  if (tm_data_dir_open(&k->dir, &tm_io_real, path, TM_DATA_LOOK, err) != 0) return -1;
  k->shared = tm_shared_new(tm_epochs_shared_at(), err);
  if (k->shared == NULL) goto fail;
  char *arena = k->shared->arena;
  k->arena_size = k->shared->arena_size;
  if (tm_data_load(&k->dir, &to, &epoch, &k->snapshot, &scan, err) != 0) goto fail;
  k->shared->arena = arena;
  k->shared->arena_size = k->arena_size;
  k->journal_bytes = scan.bytes;
  k->journal_segments = scan.segments_n;
  k->closed = scan.closed;
  int witness = scan.witness;
  tm_journal_scan_fini(k->dir.io, &scan);
  if (k->epoch == 0 && witness != TM_WITNESS_NONE) {
    tm_err_set(err, 1, "data-gone", "%s: a run was kept there, and its journal is gone: put back a copy of the whole folder", k->dir.path);
    goto fail;
  }
  if (tm_snapshot_list_read(k->dir.io, k->dir.path, k->dir.id, &k->snapshots, err) == 0) return 0;
fail:
  tm_kept_close(k);
  return -1;
}

void tm_kept_close(struct tm_kept *k) {
  tm_data_dir_close(&k->dir);
  if (k->shared != NULL) tm_shared_free(k->shared, k->arena_size);
  k->shared = NULL;
}

/* ---- places ---- */

static const void *region(const struct tm_kept *k, const char *what, uint64_t key, int n, size_t size) {
  char name[64];
  snprintf(name, sizeof name, "%s.%016llx.%d", what, (unsigned long long)key, n);
  return tm_shared_find(k->shared, name, size);
}

/* A sink is what its memory is: each kind has a region of its own. */
static void sink_describe(const struct tm_kept *k, uint64_t key, struct tm_kept_place *out) {
  out->how = region(k, "log-sink", key, 0, 0) != NULL ? "log" : region(k, "sqlite", key, 0, 0) != NULL ? "sqlite"
             : region(k, "files", key, 1, 0) != NULL ? "files" : strcmp(out->name, "stdout") == 0 ? "stdout" : "file";
  out->guarantee = strcmp(out->how, "stdout") == 0 ? "at most once" : "exactly once";
}

int tm_kept_next(const struct tm_kept *k, int32_t *at, struct tm_kept_place *out) {
  uint64_t key;
  int is_sink;
  memset(out, 0, sizeof *out);
  if (k->epoch == 0) return 0;
  while ((out->name = tm_plan_place(k->shared, (*at)++, &is_sink, &key)) != NULL && out->name[0] == '\0') {}
  if (out->name == NULL) return 0;
  out->kind = is_sink ? "sink" : "source";
  if (is_sink) {
    sink_describe(k, key, out);
    return 1;
  }
  const struct tm_source_state *st = region(k, "source", key, 0, sizeof *st);
  if (st == NULL) return 1;
  out->events = st->good;
  out->bytes = st->bytes;
  return 1;
}
