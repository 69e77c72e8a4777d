/* resume.c - a log of changes in an arena: making it, going on with one whose bytes were put back, and finding its states again.
 *
 * What points out of the arena is mended: whose budget it is, who makes pages ready, the log's own bytes and scratch. What belongs to
 * objects of the process that is gone is forgotten: cursors, and what `ahead` remembers. All else is as it was. */
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "arena_own.h"
#include "queue.h"

/* ---- making ---- */

struct tm_changes *tm_changes_new_in(struct tm_arena *a, struct tm_budget *budget, double seed) {
  tm_arena_enter(a);
  struct tm_log *log = tm_arena_root_make(a) == 0 ? tm_arena_alloc(a, sizeof *log, 1) : NULL;
  if (log == NULL) return NULL;
  log->account = (struct tm_account){budget, &log->share, NULL, a};
  memcpy(&log->seed, &seed, sizeof log->seed);
  if (tm_log_begin(log) != 0) return NULL;
  tm_arena_root(a)->log = log;
  return &log->pub;
}

/* ---- going on ---- */

static void core_resume(struct tm_core *c, const struct tm_account *account) {
  tm_region_resume(&c->heap.mem, account);
  tm_region_resume(&c->heap.meta, account);
  tm_region_resume(&c->index.mem, account);
  tm_region_resume(&c->arrival.mem, account);
}

static void table_resume(struct tm_log *log, struct tm_table *t) {
  t->account.budget = log->account.budget;
  t->account.supply = log->supply;
  t->account.arena = log->account.arena;
  t->cursors = NULL;
  t->ahead = NULL;
  t->pub.bytes -= t->apart;
  t->apart = 0;
  t->pub.adopted = 0;
  t->gone = 0;
  log->orphans++;
  log->account.budget->used += t->pub.bytes;
  core_resume(&t->core, &t->account);
  tm_queue_resume(t);
}

/* At a cut the shadow is what is there. Pages of structs that were all zero were never told, and are compared from now on all the same. */
static void shadow_take(struct tm_arena *a, const struct tm_heap *hot) {
  size_t end = (size_t)(hot->mem.base - a->base) + (size_t)hot->blocks * TM_BLOCK_BYTES;
  tm_arena_hot_use(a, 0, end < a->hot ? end : a->hot);
  for (size_t page = 0; page < a->hot / TM_ARENA_PAGE; page++) {
    if (a->used[page]) memcpy(a->shadow + page * TM_ARENA_PAGE, a->base + page * TM_ARENA_PAGE, TM_ARENA_PAGE);
  }
}

struct tm_changes *tm_changes_resume(struct tm_arena *a, struct tm_budget *budget, struct tm_err *err) {
  const char *wrong = tm_arena_root_wrong(a);
  if (wrong != NULL) {
    tm_err_set(err, 1, "arena", "the state that was put back cannot go on: %s; start with the program that wrote it, or with another data folder",
               wrong);
    return NULL;
  }
  if (tm_arena_protect(a) != 0) {
    tm_err_set(err, 1, "memory", "no memory for the state that was put back");
    return NULL;
  }
  struct tm_arena_root *root = tm_arena_root(a);
  struct tm_log *log = root->log;
  shadow_take(a, &root->hot_heap);
  a->cuts = 1;
  tm_arena_enter(a);
  root->account.arena = root->hot_heap.mem.arena = a;
  tm_region_resume(&root->hot_heap.meta, &root->account);
  tm_region_resume(&root->cold_heap.mem, &root->account);
  tm_region_resume(&root->cold_heap.meta, &root->account);
  log->account = (struct tm_account){budget, &log->share, NULL, a};
  log->share = 0;
  log->counted = 0;
  log->pub.used = log->deferred = 0;
  log->orphans = 0;
  if (tm_log_begin(log) != 0) {
    tm_err_set(err, 1, "memory", "no memory for the log of changes");
    return NULL;
  }
  for (struct tm_state *s = log->pub.states; s != NULL; s = s->next) table_resume(log, tm_table_of(s));
  for (struct tm_core *c = log->dying; c != NULL; c = c->next) core_resume(c, &c->table->account);
  return &log->pub;
}

/* ---- adopting ---- */

/* What of a field decides where bytes lie; its max does not, but of a series. */
static int field_differs(const struct tm_state_field *a, const struct tm_state_field *b) {
  if (a->kind != b->kind || a->off != b->off || a->of != b->of || a->key != b->key) return 1;
  return a->kind == TM_FIELD_SERIES && a->max != b->max;
}

static int refusal(struct tm_log *log, const struct tm_table *t, const struct tm_state_options *o) {
  if ((o->sections != 0) != (t->prefix != 0)) return TM_REFUSED_SECTIONS;
  if ((uint32_t)o->fields_n != t->fields_n) return TM_REFUSED_FIELDS;
  for (int32_t i = 0; i < o->fields_n; i++) {
    if (!field_differs(o->fields + i, t->fields + i)) continue;
    log->pub.refused_field = i;
    return TM_REFUSED_FIELD;
  }
  if ((((uint32_t)o->record_size + 7) & ~7u) != t->record_size) return TM_REFUSED_RECORD;
  if ((o->timed != 0) != t->timed) return TM_REFUSED_TIMED;
  if ((o->max_keys > 0 && o->on_full == TM_ON_FULL_OLDEST) != t->links) return TM_REFUSED_ORDER;
  if (o->layout_len > 0 && (o->layout_len != t->pub.layout_len || memcmp(o->layout, t->pub.layout, (size_t)o->layout_len) != 0))
    return TM_REFUSED_LAYOUT;
  return TM_REFUSED_NOT;
}

static struct tm_state *adopt(struct tm_log *log, struct tm_table *t) {
  t->pub.adopted = 1;
  log->orphans--;
  return &t->pub;
}

struct tm_state *tm_ffi_state_kept(const struct tm_changes *c, const char *name, int32_t len) {
  struct tm_table *first = NULL;
  for (struct tm_state *s = c->states; s != NULL; s = s->next) {
    struct tm_table *t = tm_table_of(s);
    if (s->adopted || s->name_len != len || memcmp(s->name, name, (size_t)len) != 0) continue;
    if (first == NULL || t->serial < first->serial) first = t;
  }
  return first != NULL ? &first->pub : NULL;
}

struct tm_state *tm_state_adopt_as(struct tm_log *log, const struct tm_state_options *o) {
  struct tm_state *kept = tm_ffi_state_kept(&log->pub, o->name, o->name_len);
  if (kept == NULL) return NULL;
  struct tm_table *first = tm_table_of(kept);
  log->pub.refused = refusal(log, first, o);
  if (log->pub.refused != TM_REFUSED_NOT) return NULL;
  first->max_keys = (uint32_t)o->max_keys;
  first->on_full = o->on_full;
  if (o->fields_n > 0) {
    tm_arena_mark(first->fields, (size_t)o->fields_n * sizeof *first->fields);
    memcpy(first->fields, o->fields, (size_t)o->fields_n * sizeof *first->fields);
  }
  return adopt(log, first);
}

double tm_ffi_state_address(const struct tm_state *s) { return (double)(uintptr_t)s; }

struct tm_state *tm_ffi_state_adopt(struct tm_changes *c, double address) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  for (struct tm_state *s = c->states; s != NULL; s = s->next) {
    if (tm_ffi_state_address(s) == address) return s->adopted ? NULL : adopt(log, tm_table_of(s));
  }
  return NULL;
}
