/* changes.h - the log of changes of a worker: what it takes to undo an event, and what may be freed once it stands.
 *
 *   | bytes | who, where, how | bytes | who, where, how | ...          used
 *
 * An entry is read from its end, so undoing walks back from `used` to the mark asked for. Memory that a change gives up
 * is freed at the commit, memory that it took is freed by the roll-back: in between every address stays what it was,
 * and most changes are nothing but old bytes kept.
 * Each entry names the table and the item or address it is about: whoever has to write changes down elsewhere reads it
 * from here. */
#ifndef TM_STATE_CHANGES_H
#define TM_STATE_CHANGES_H

#include <string.h>

#include "arena.h"
#include "region.h"

struct tm_table;
struct tm_core;

enum tm_change_kind {
  TM_CHANGE_KEEP = 0,     /* who: an address; its bytes were these */
  TM_CHANGE_RECORD = 1,   /* the record of item `at` held these bytes */
  TM_CHANGE_MOVED = 2,    /* item `at` became the newest; bytes: its neighbours before */
  TM_CHANGE_ARMED = 3,    /* item `at` came into a wheel, last in its slot (due.h, as are the next three) */
  TM_CHANGE_LEFT = 4,     /* item `at` left its slot; bytes: where it was */
  TM_CHANGE_DRAINED = 5,  /* item `at`, the first of the slot being emptied, went to where it belongs */
  TM_CHANGE_HUNG = 6,     /* a slot's list was hung in front of that of slot `at`; bytes: what it was */
  TM_CHANGE_INSERT = 7,   /* item `at` came; from here on the commit has something to do */
  TM_CHANGE_REMOVE = 8,   /* item `at` went; freed at the commit */
  TM_CHANGE_ALLOC = 9,    /* `at` was allocated; freed by a roll-back */
  TM_CHANGE_FREE = 10,    /* `at` is freed at the commit */
  TM_CHANGE_RUIN = 11,    /* the same for all that the note at `at` names (struct tm_ruin) */
  TM_CHANGE_CLEAR = 12    /* the table began anew; bytes: a pointer to what it had */
};

struct tm_change {
  uint64_t who;           /* struct tm_table, or an address */
  uint32_t at;            /* a handle; KEEP: how many bytes */
  uint32_t kind_len;      /* enum tm_change_kind | bytes before it (a multiple of 8) << 4 */
};

struct tm_log {
  struct tm_changes pub;
  struct tm_region mem;
  struct tm_account account;
  double share;
  size_t counted;
  uint64_t seed;
  int32_t deferred;       /* 1: the commit has more to do than to forget the entries */
  int32_t owed;           /* 1: something stood without its share of housekeeping */
  struct tm_table *caring; /* tables with housekeeping to do */
  struct tm_core *dying;  /* what cleared tables had */
  uint32_t made;          /* states, ever */
  uint32_t orphans;       /* states that were put back and that nobody adopted yet */
  struct tm_key *key;     /* scratch */
  struct tm_supply *supply;
};

/* What is logged stands, as by a commit, but nothing moves: addresses of what is there stay what they were until the next one. */
void tm_changes_seal(struct tm_log *log);
/* resume.c: the state of that name and layout that was made first and is not adopted, now adopted; NULL: c->refused says why. */
struct tm_state *tm_state_adopt_as(struct tm_log *log, const struct tm_state_options *o);
/* What a log has beside the arena: its bytes, the scratch key, the supply. 0, or -1 with nothing held. */
int tm_log_begin(struct tm_log *log);
/* Room for `more` bytes behind used: 0 or -1. */
int tm_changes_grow(struct tm_log *log, size_t more);

/* Room for an entry of len bytes, which is complete but for them: where they go, or NULL. */
static inline void *tm_changes_put(struct tm_log *log, int kind, const void *who, uint32_t at, uint32_t len) {
  uint32_t padded = (len + 7) & ~7u;
  size_t used = (size_t)log->pub.used;
  if (used + padded + sizeof(struct tm_change) > log->counted &&
      tm_changes_grow(log, padded + sizeof(struct tm_change)) != 0) {
    return NULL;
  }
  char *p = log->mem.base + used;
  *(struct tm_change *)(void *)(p + padded) =
      (struct tm_change){(uint64_t)(uintptr_t)who, at, (uint32_t)kind | padded << 4};
  log->pub.used = (int32_t)(used + padded + sizeof(struct tm_change));
  if (kind >= TM_CHANGE_INSERT) log->deferred = 1;
  return p;
}

/* The len bytes at p, which lie in the state and so outlive this call, are about to change: 0 or -1. */
static inline int tm_changes_keep(struct tm_log *log, const void *p, uint32_t len) {
  void *to = tm_changes_put(log, TM_CHANGE_KEEP, p, len, len);
  if (to == NULL) return -1;
  memcpy(to, p, len);
  tm_arena_mark(p, len);
  return 0;
}

#endif
