/* changes.c - commit, roll-back and the log's own memory.
 *
 * The log may take 1 GiB of one event's changes; beyond that they fail like any lack of memory. What it grew beyond a
 * few pages goes back when the event is over. */
#include "changes.h"

#include <stdlib.h>

#include "../base/err.h"
#include "table.h"

enum { LOG_FIRST = 64 * 1024, LOG_STEP = 256 * 1024, LOG_KEPT = 4 * 1024 * 1024, CARE_STEPS = 16,
  BLEED = 2 * 1024 * 1024, CORE_COST = 256 * 1024  /* bytes given back at a time; what giving back addresses costs as much as */
};
static const size_t LOG_MAX = (size_t)1 << 30;

struct tm_changes *tm_ffi_changes_new(struct tm_budget *budget, double seed) {
  struct tm_log *log = calloc(1, sizeof *log);
  if (log == NULL) return NULL;
  log->account = (struct tm_account){budget, &log->share, NULL, NULL};
  memcpy(&log->seed, &seed, sizeof log->seed);
  if (tm_log_begin(log) == 0) return &log->pub;
  free(log);
  return NULL;
}

int tm_log_begin(struct tm_log *log) {
  struct tm_account apart = {log->account.budget, log->account.share, NULL, NULL};
  log->pub.budget = log->account.budget;
  log->supply = calloc(1, sizeof *log->supply);
  if (log->supply == NULL) return -1;
  log->account.supply = log->supply;
  log->key = tm_account_alloc_apart(&log->account, sizeof *log->key);
  /* what is logged is no part of the state */
  if (log->key != NULL && tm_region_init(&log->mem, &apart, LOG_MAX) == 0) return 0;
  tm_account_free(&apart, log->key, sizeof *log->key);
  free(log->supply);
  return -1;
}

void tm_ffi_changes_free(struct tm_changes *c) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  if (c == NULL) return;
  tm_ffi_changes_rollback(c, 0);
  while (c->states != NULL) tm_ffi_state_free(c->states);
  tm_account_give(&log->account, log->counted);
  tm_region_fini(&log->mem);
  tm_account_free(&log->account, log->key, sizeof *log->key);
  tm_supply_fini(log->supply);
  free(log->supply);
  if (log->account.arena == NULL) free(log);
}

int tm_changes_grow(struct tm_log *log, size_t more) {
  size_t need = (size_t)log->pub.used + more, to = log->counted + (log->counted == 0 ? LOG_FIRST : LOG_STEP);
  if (to < need) to = tm_page_up(need);
  if (to > LOG_MAX) to = LOG_MAX;
  if (need > to || tm_region_open(&log->mem, to) != 0) return -1;
  if (tm_account_take(&log->account, to - log->counted) != 0) return -1;
  log->counted = to;
  if (to > LOG_KEPT) log->deferred = 1;
  return 0;
}

/* the log is empty: what it grew by goes back */
static void log_reset(struct tm_log *log) {
  log->pub.used = 0;
  log->deferred = 0;
  if (log->counted <= LOG_KEPT) return;
  tm_region_drop(&log->mem, LOG_FIRST, log->counted);
  tm_account_give(&log->account, log->counted - LOG_FIRST);
  log->counted = LOG_FIRST;
}

static const struct tm_change *entry_before(const struct tm_log *log, int32_t used, const char **bytes) {
  const struct tm_change *e = (const struct tm_change *)(const void *)(log->mem.base + used) - 1;
  *bytes = (const char *)e - (e->kind_len >> 4);
  return e;
}

void tm_changes_undo(struct tm_log *log, int32_t mark) {
  TM_ASSERT(mark >= 0 && mark <= log->pub.used);
  while (log->pub.used > mark) {
    const char *bytes;
    const struct tm_change *e = entry_before(log, log->pub.used, &bytes);
    if ((e->kind_len & 15) == TM_CHANGE_KEEP) memcpy((void *)(uintptr_t)e->who, bytes, e->at);
    else tm_table_undo(e, bytes);
    log->pub.used = (int32_t)(bytes - log->mem.base);
  }
}

void tm_ffi_changes_rollback(struct tm_changes *c, int32_t mark) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  tm_changes_undo(log, mark);
  if (mark == 0) log_reset(log);
}

/* ---- commit ---- */

static void entries_end(struct tm_log *log) {
  int cleared = 0;
  for (int32_t used = log->pub.used; used > 0;) {
    const char *bytes;
    const struct tm_change *e = entry_before(log, used, &bytes);
    int kind = (int)(e->kind_len & 15);
    used = (int32_t)(bytes - log->mem.base);
    if (kind < TM_CHANGE_INSERT) continue;
    cleared |= kind == TM_CHANGE_CLEAR;
    tm_table_end(log, e, bytes);
  }
  if (!cleared) return;
  for (struct tm_state *s = log->pub.states; s != NULL; s = s->next) tm_table_of(s)->gone = 0;
}

/* a share of the housekeeping: the first table's, which then goes to the end of the line */
static int care_once(struct tm_log *log, int32_t steps) {
  struct tm_table *t = log->caring;
  int more = 0;
  if (t != NULL) {
    log->caring = t->caring_next;
    t->caring = 0;
    more = tm_table_care(t, steps);
    if (more) tm_table_care_for(t);
  }
  /* several small ones, so that what is cleared with each event does not pile up */
  for (size_t left = BLEED; log->dying != NULL && left > 0;) {
    struct tm_core *core = log->dying;
    size_t got = tm_core_bleed(core, left);
    left -= got;
    if (left < CORE_COST) break;
    left -= CORE_COST;
    log->dying = core->next;
    tm_core_fini(core);
    tm_account_free(&core->table->account, core, sizeof *core);
  }
  log->pub.care = log->caring != NULL || log->dying != NULL;
  return log->pub.care;
}

static void stand(struct tm_log *log) {
  if (log->deferred) {
    entries_end(log);
    log_reset(log);
  }
  log->pub.used = 0;
}

void tm_changes_seal(struct tm_log *log) {
  stand(log);
  log->owed = 1;
}

void tm_ffi_changes_commit(struct tm_changes *c) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  stand(log);
  log->owed = 0;
  if (c->care) care_once(log, CARE_STEPS);
}

int32_t tm_ffi_changes_care(struct tm_changes *c, int32_t steps) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  TM_ASSERT(c->used == 0);
  if (!c->care) return 0;
  return care_once(log, steps);
}
