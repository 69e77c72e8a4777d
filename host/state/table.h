/* table.h - a keyed table: struct tm_state of abi.h with all that is behind it.
 *
 *   item    | [ prev | next ] | [ due ] | record, zeroed when new | arrival | key_len | key bytes |
 *                                        record_off                | struct tm_item
 *
 * prev and next are there if the key that was not written for longest goes when the table is full, due (due.h) if the
 * table is timed. What a lookup compares lies together. What hangs off a record's fields lies in the same heap. A record's address is stable between
 * commits; at a commit items may move (care.c). The hash of a key decides where it lies in the index and nothing that
 * can be seen: order is order of arrival.
 * table.c owns keys and records, due.c when they are due, care.c what is done between events, value.c deque.c list.c
 * map.c what hangs off fields. */
#ifndef TM_STATE_TABLE_H
#define TM_STATE_TABLE_H

#include "arena.h"
#include "arrival.h"
#include "changes.h"
#include "due.h"
#include "heap.h"
#include "index.h"

enum { TM_KEY_MAX = 65534, TM_TEXT_MAX = 16 * 1024 * 1024, TM_ELEMENTS_MAX = 1 << 27, TM_RECORD_MAX = 32768 };
enum { TM_TEXT_EMPTY = -1 };  /* tm_state_ref.at of a text without bytes */

enum { TM_SECTION_BYTES = 8 };
enum { TM_ITEM_GONE = 65535 };
struct tm_item {
  uint32_t arrival;       /* position in the log of arrivals */
  uint16_t key_len;       /* TM_ITEM_GONE: removed in this event */
  char key[];
};
struct tm_links { uint32_t prev, next; };

/* What is to be freed in slices: named in the log, and later in a list. */
struct tm_ruin {
  uint32_t next;
  uint32_t field;         /* index | TM_RUIN_BARE */
  struct tm_state_ref ref;
  uint32_t pos;           /* how far it is */
};
enum { TM_RUIN_BARE = 0x100 };   /* its texts live on elsewhere */
/* In place of struct tm_item, when it was removed for good, while what hangs off it is freed. */
struct tm_dead_item {
  uint32_t next;
  uint32_t pos;           /* how far its first field that is not zero is */
};

/* All that tm_ffi_state_clear exchanges. */
struct tm_core {
  struct tm_heap heap;
  struct tm_index index;
  struct tm_arrival arrival;
  uint32_t oldest, newest;        /* by last writing */
  uint32_t ruin_items, ruin_notes;  /* freed in slices: struct tm_dead_item, struct tm_ruin */
  /* emptying sparse blocks */
  int32_t sweep;                  /* enum in care.c */
  uint64_t sweep_hash;            /* items from this hash on were not visited */
  uint32_t sweep_block;
  uint32_t sweep_item, sweep_field, sweep_pos;  /* an item with large values, visited in part */
  double sweep_waste;             /* what the last pass left */
  struct tm_due *due;             /* of a timed table */
  struct tm_table *table;
  struct tm_core *next;           /* of tm_log.dying */
};

struct tm_cursor {
  struct tm_state_cursor pub;
  struct tm_table *table;
  struct tm_cursor *next;
  uint64_t at;                    /* the next position to look at */
};

struct tm_ahead;
struct tm_queue;
struct tm_stay;

struct tm_table {
  struct tm_state pub;
  struct tm_log *log;
  struct tm_account account;
  uint32_t record_size, record_off;
  uint32_t links;                 /* 1: items have them */
  uint32_t timed;                 /* 1: and struct tm_due_links */
  int32_t on_full;
  uint32_t prefix;                /* bytes in front of each key that name its section (sections.c); 0: there are none */
  uint32_t max_keys;              /* 0: none */
  uint32_t fields_n;
  struct tm_state_field *fields;
  int32_t follow;                 /* offset of the last field's reference if that is a series, which most calls need; or -1 */
  size_t reserve;
  struct tm_core core;
  struct tm_cursor *cursors;
  struct tm_ahead *ahead;         /* made when first asked for */
  struct tm_queue *queue;         /* events that wait (queue.h); NULL: they never do */
  struct tm_stay *stay;           /* events in windows that move over all keys (stay.h); NULL: there are none */
  double apart;                   /* of pub.bytes, what is no part of the state: cursors, `ahead` */
  uint32_t serial;                /* in order of making */
  uint32_t moves;                 /* another number when an item's handle may name something else than before */
  struct tm_table *caring_next;
  int32_t caring;
  int32_t gone;                   /* during a commit: earlier entries are about what the table had before it was cleared */
};

/* ---- inside the layer ---- */

static inline struct tm_table *tm_table_of(struct tm_state *s) { return (struct tm_table *)(void *)s; }
static inline char *tm_record_at(const struct tm_table *t, uint32_t at) {
  return (char *)tm_heap_at(&t->core.heap, at) + t->record_off;
}
static inline struct tm_item *tm_item_at(const struct tm_table *t, uint32_t at) {
  return (struct tm_item *)(void *)(tm_record_at(t, at) + t->record_size);
}
static inline struct tm_links *tm_links_at(const struct tm_table *t, uint32_t at) { return tm_heap_at(&t->core.heap, at); }
/* the same, about to change */
static inline struct tm_item *tm_item_change(const struct tm_table *t, uint32_t at) {
  struct tm_item *it = tm_item_at(t, at);
  tm_arena_mark(it, sizeof *it);
  return it;
}
static inline struct tm_links *tm_links_change(const struct tm_table *t, uint32_t at) {
  struct tm_links *l = tm_links_at(t, at);
  tm_arena_mark(l, sizeof *l);
  return l;
}
static inline uint32_t tm_item_handle(const struct tm_table *t, const void *record) {
  return (uint32_t)((size_t)((const char *)record - t->record_off - t->core.heap.mem.base) / 8);
}

/* A key that is looked for: its bytes are tag, unless that is negative, then text. So a string of an event is found
 * where it lies, without being copied behind its tag. */
struct tm_seek {
  const char *text;
  uint32_t len;                   /* of text */
  int32_t tag;
  uint32_t hash;
};
/* Fills hash, seeded. A key's hash is the same whichever way it is put, if one part that is a short string always has
 * its tag apart: tm_seek_key. */
void tm_seek_hash(const struct tm_log *log, struct tm_seek *k);
struct tm_seek tm_seek_key(const struct tm_log *log, const char *key, uint32_t len);
/* As tm_ffi_state_write; at: what tm_table_find says of the key. */
void *tm_table_write(struct tm_table *t, const struct tm_seek *k, uint32_t at);

/* No call for keys, which are short; nothing beyond len is read. */
static inline int tm_bytes_equal(const char *a, const char *b, uint32_t len) {
  uint64_t x, y, u, v;
  if (len < 8) {
    for (; len > 0; len--, a++, b++) {
      if (*a != *b) return 0;
    }
    return 1;
  }
  for (; len > 8; len -= 8, a += 8, b += 8) {
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    if (x != y) return 0;
    if (len < 16) break;
  }
  memcpy(&u, a + len - 8, 8);
  memcpy(&v, b + len - 8, 8);
  return u == v;
}

static inline int tm_item_is(const struct tm_item *it, const struct tm_seek *k) {
  if (k->tag < 0) return it->key_len == k->len && tm_bytes_equal(it->key, k->text, k->len);
  return it->key_len == k->len + 1 && (unsigned char)it->key[0] == k->tag && tm_bytes_equal(it->key + 1, k->text, k->len);
}

/* The handle of a key's item, or 0. */
static inline uint32_t tm_table_find(const struct tm_table *t, const struct tm_seek *k) {
  for (const struct tm_index_slot *s = tm_index_seek(&t->core.index, k->hash); s->hash == k->hash; s++) {
    if (tm_item_is(tm_item_at(t, s->at), k)) return s->at;
  }
  return 0;
}
/* Removes an item of a table that is not timed, whose key has the hash, for good: the log is empty. */
void tm_table_drop(struct tm_table *t, uint32_t at, uint32_t hash);
/* The key of item `at` counts as written now: 0, or -1 (the log is full). */
int tm_table_touch(struct tm_table *t, uint32_t at);
/* The same for good, of a table that has that order. */
void tm_table_newest(struct tm_table *t, uint32_t at);
/* There may be something to do for t between events. */
void tm_table_care_for(struct tm_table *t);
/* A record is about to be removed: its place in the index is asked for. Returns the hash that the removal takes: 0 or a code. */
uint32_t tm_table_leaving(const struct tm_table *t, const void *record);
int32_t tm_table_remove(struct tm_table *t, const void *record, uint32_t hash);
void tm_core_fini(struct tm_core *core);

/* Undoing and ending what table.c logs; e is the entry, bytes what it kept. */
void tm_table_undo(const struct tm_change *e, const void *bytes);
void tm_table_end(struct tm_log *log, const struct tm_change *e, const void *bytes);
/* The log again as it was at mark. */
void tm_changes_undo(struct tm_log *log, int32_t mark);

/* care.c: about `steps` elements of what is to do between events; 1 if there is more. */
int tm_table_care(struct tm_table *t, int32_t steps);
/* Frees an item that was removed, or a note with what it names; now if it is little. */
void tm_item_ruin(struct tm_table *t, uint32_t at);
void tm_note_ruin(struct tm_table *t, uint32_t at);
/* A slice of giving a cleared table's memory back, at most so many bytes: how many; less: there is no more. */
size_t tm_core_bleed(struct tm_core *core, size_t most);

void tm_ahead_free(struct tm_table *t);
/* The key of a row of a batch, not hashed: 0 or a code. k is scratch. */
int tm_row_seek(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row, struct tm_seek *out);

#endif
