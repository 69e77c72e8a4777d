/* table.c - keys and records: looking up, writing, removing, the order of writing, and how each is undone.
 *
 * A call that changes something first takes all it needs (room in the log, the index, the log of arrivals, an item),
 * then changes; when something is missing, what it logged so far is undone. Undoing itself takes nothing.
 * A removed item stays where it is, with its links and its position, until the commit: putting it back is linking it
 * in where it says it was. */
#include "table.h"

#include <math.h>
#include <stdlib.h>

#include "../base/err.h"
#include "arena_own.h"
#include "key.h"
#include "queue.h"
#include "stay.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FIELDS_MAX = 255, RESERVE_MIN = 64 * 1024 * 1024, STATES_MANY = 256 };
enum { RECYCLED_HEAP = 8 * 1024 * 1024, RECYCLED_SLOTS = 128 * 1024 };  /* 1 MiB of slots */
enum { LINE = 64, LINE_SHARE = 8 };
static const size_t RESERVE_MAX = (size_t)32 << 30;

/* ---- making ---- */

/* Addresses for the heap: four times what the budget could pay for, as spans waste addresses; of states by the thousand (open
 * windows) each gets fewer, as there are 128 TiB of them in all. */
static size_t reserve_for(const struct tm_log *log) {
  const struct tm_changes *c = &log->pub;
  size_t n = RESERVE_MIN, most = RESERVE_MAX;
  double want = c->budget->limit > 0 ? c->budget->limit * 4 : (double)RESERVE_MAX;
  int32_t states = 0;
  for (const struct tm_state *s = c->states; s != NULL && states < STATES_MANY; s = s->next) states++;
  if (states == STATES_MANY) most /= 16;
  if (log->account.arena != NULL) most = tm_arena_room_share(log->account.arena, most);
  while (n < most && (double)n < want) n *= 2;
  return n;
}

static int core_init(struct tm_core *core, struct tm_table *t) {
  memset(core, 0, sizeof *core);
  core->table = t;
  if (tm_heap_init(&core->heap, &t->account, t->reserve) != 0) return -1;
  /* no item is smaller than 8 bytes, hardly one than 16 */
  if (tm_index_init(&core->index, &t->account, t->reserve / 16 * 3 / 2) == 0) {
    if (tm_arrival_init(&core->arrival, &t->account, t->reserve / 8) == 0) {
      if (!t->timed || tm_due_init(t, &core->due) == 0) return 0;
      tm_arrival_fini(&core->arrival);
    }
    tm_index_fini(&core->index);
  }
  tm_heap_fini(&core->heap);
  return -1;
}

void tm_core_fini(struct tm_core *core) {
  tm_account_free(&core->table->account, core->due, sizeof *core->due);
  tm_arrival_fini(&core->arrival);
  tm_index_fini(&core->index);
  tm_heap_fini(&core->heap);
}

static int value_kind_good(int32_t kind) {
  return kind == TM_VALUE_NUMBER || kind == TM_VALUE_STRING || kind == TM_VALUE_TRUE;
}

static int options_good(const struct tm_state_options *o) {
  if (o->record_size < 0 || o->record_size > TM_RECORD_MAX || o->fields_n < 0 || o->fields_n > FIELDS_MAX) return 0;
  if (o->name_len < 0 || o->layout_len < 0 || o->max_keys < 0 || o->max_keys > 4e9) return 0;
  if (o->sections) {
    const struct tm_state_field *f = o->fields + o->fields_n - 1;
    if (o->fields_n == 0 || f->kind != TM_FIELD_LIST || f->of != TM_VALUE_STRING || o->max_keys > 0 || o->timed) return 0;
  }
  for (int32_t i = 0; i < o->fields_n; i++) {
    const struct tm_state_field *f = o->fields + i;
    if (f->off < 0 || (f->off & 3) != 0 || f->off + (int32_t)sizeof(struct tm_state_ref) > o->record_size) return 0;
    if (f->kind < TM_FIELD_TEXT || f->kind > TM_FIELD_MARKS || f->max < 0) return 0;
    if (f->kind == TM_FIELD_SERIES) {
      if (f->of < 1 || f->of > 64 || (f->of & (f->of - 1)) != 0) return 0;
      if ((int64_t)f->off + 8 + (int64_t)f->max * f->of * 8 > o->record_size || (f->off & 7) != 0) return 0;
    }
    int keyed = f->kind == TM_FIELD_MAP || f->kind == TM_FIELD_SET;
    if ((f->kind == TM_FIELD_LIST || f->kind == TM_FIELD_MAP) && !value_kind_good(f->of) && f->of != TM_VALUE_ANY) return 0;
    if (keyed && f->key != TM_VALUE_NIL && !value_kind_good(f->key)) return 0;
  }
  return 1;
}

static size_t fields_bytes(uint32_t n) { return n * sizeof(struct tm_state_field) + 1; }

struct tm_state *tm_ffi_state_new(struct tm_changes *c, const struct tm_state_options *o) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  double share = 0;
  struct tm_account account = {c->budget, &share, NULL, log->account.arena};
  c->refused = TM_REFUSED_OPTIONS;
  if (!options_good(o)) return NULL;
  c->refused = TM_REFUSED_NOT;
  if (log->orphans > 0 && !o->beside) {
    struct tm_state *kept = tm_state_adopt_as(log, o);
    if (kept != NULL || c->refused != TM_REFUSED_NOT) return kept;
  }
  c->refused = TM_REFUSED_MEMORY;
  struct tm_table *t = tm_account_alloc_hot(&account, sizeof *t);
  if (t == NULL) return NULL;
  t->account = (struct tm_account){c->budget, &t->pub.bytes, log->supply, log->account.arena};
  t->pub.bytes = share;
  t->log = log;
  t->record_size = ((uint32_t)o->record_size + 7) & ~7u;
  t->on_full = o->on_full;
  t->max_keys = (uint32_t)o->max_keys;
  t->links = t->max_keys != 0 && o->on_full == TM_ON_FULL_OLDEST;
  t->timed = o->timed != 0;
  t->record_off = (uint32_t)(t->links * sizeof(struct tm_links) + t->timed * sizeof(struct tm_due_links));
  t->pub.due = (double)INFINITY;
  t->fields_n = (uint32_t)o->fields_n;
  t->prefix = o->sections ? TM_SECTION_BYTES : 0;
  t->pub.name_len = o->name_len;
  t->reserve = reserve_for(log);
  t->pub.layout_len = o->layout_len;
  char *name = tm_account_alloc(&t->account, (size_t)o->name_len + 1);
  char *words = tm_account_alloc(&t->account, (size_t)o->layout_len + 1);
  t->fields = tm_account_alloc(&t->account, fields_bytes(t->fields_n));
  t->pub.name = name;
  t->pub.layout = words;
  if (name == NULL || words == NULL || t->fields == NULL || core_init(&t->core, t) != 0) {
    tm_account_free(&t->account, name, (size_t)o->name_len + 1);
    tm_account_free(&t->account, words, (size_t)o->layout_len + 1);
    tm_account_free(&t->account, t->fields, fields_bytes(t->fields_n));
    share = t->pub.bytes;
    tm_account_free(&account, t, sizeof *t);
    return NULL;
  }
  tm_arena_mark(name, (size_t)o->name_len + 1);
  if (o->name_len > 0) memcpy(name, o->name, (size_t)o->name_len);
  tm_arena_mark(words, (size_t)o->layout_len + 1);
  if (o->layout_len > 0) memcpy(words, o->layout, (size_t)o->layout_len);
  if (o->fields_n > 0) memcpy(t->fields, o->fields, (size_t)o->fields_n * sizeof *t->fields);
  t->follow = o->fields_n > 0 && t->fields[o->fields_n - 1].kind == TM_FIELD_SERIES ? t->fields[o->fields_n - 1].off : -1;
  t->pub.base = t->core.heap.mem.base;
  t->pub.next = c->states;
  t->pub.adopted = 1;
  t->serial = ++log->made;
  c->states = &t->pub;
  c->refused = TM_REFUSED_NOT;
  return &t->pub;
}

static void dying_end(struct tm_table *t) {
  for (struct tm_core **p = &t->log->dying; *p != NULL;) {
    struct tm_core *core = *p;
    if (core->table != t) {
      p = &core->next;
      continue;
    }
    *p = core->next;
    tm_core_fini(core);
    tm_account_free(&t->account, core, sizeof *core);
  }
}

void tm_ffi_state_free(struct tm_state *s) {
  struct tm_table *t = tm_table_of(s);
  if (s == NULL) return;
  if (!s->adopted) t->log->orphans--;
  struct tm_state **p = &t->log->pub.states;
  while (*p != s) p = &(*p)->next;
  *p = s->next;
  for (struct tm_table **q = &t->log->caring; *q != NULL; q = &(*q)->caring_next) {
    if (*q != t) continue;
    *q = t->caring_next;
    break;
  }
  dying_end(t);
  while (t->cursors != NULL) tm_ffi_cursor_free(&t->cursors->pub);
  tm_ahead_free(t);
  tm_queue_free(t);
  tm_stay_free(t);
  tm_core_fini(&t->core);
  tm_account_free(&t->account, (void *)(uintptr_t)t->pub.name, (size_t)t->pub.name_len + 1);
  tm_account_free(&t->account, (void *)(uintptr_t)t->pub.layout, (size_t)t->pub.layout_len + 1);
  tm_account_free(&t->account, t->fields, fields_bytes(t->fields_n));
  double share = t->pub.bytes;
  struct tm_account account = {t->account.budget, &share, NULL, t->account.arena};
  tm_account_free(&account, t, sizeof *t);
}

void tm_table_care_for(struct tm_table *t) {
  if (t->caring) return;
  t->caring = 1;
  t->caring_next = NULL;
  struct tm_table **p = &t->log->caring;
  while (*p != NULL) p = &(*p)->caring_next;
  *p = t;
  t->log->pub.care = 1;
}

/* ---- order of writing ---- */

static void newest_push(struct tm_table *t, uint32_t at) {
  struct tm_core *c = &t->core;
  *tm_links_change(t, at) = (struct tm_links){c->newest, 0};
  if (c->newest != 0) tm_links_change(t, c->newest)->next = at;
  else c->oldest = at;
  c->newest = at;
}

/* its own links stay what they were */
static void links_cut(struct tm_table *t, uint32_t at) {
  struct tm_core *c = &t->core;
  struct tm_links l = *tm_links_at(t, at);
  if (l.prev != 0) tm_links_change(t, l.prev)->next = l.next;
  else c->oldest = l.next;
  if (l.next != 0) tm_links_change(t, l.next)->prev = l.prev;
  else c->newest = l.prev;
}

static void links_restore(struct tm_table *t, uint32_t at, struct tm_links l) {
  struct tm_core *c = &t->core;
  *tm_links_change(t, at) = l;
  if (l.prev != 0) tm_links_change(t, l.prev)->next = at;
  else c->oldest = at;
  if (l.next != 0) tm_links_change(t, l.next)->prev = at;
  else c->newest = at;
}

void tm_table_newest(struct tm_table *t, uint32_t at) {
  links_cut(t, at);
  newest_push(t, at);
}

int tm_table_touch(struct tm_table *t, uint32_t at) {
  if (!t->links || t->core.newest == at) return 0;
  struct tm_links *l = tm_links_at(t, at);
  void *old = tm_changes_put(t->log, TM_CHANGE_MOVED, t, at, sizeof *l);
  if (old == NULL) return -1;
  memcpy(old, l, sizeof *l);
  links_cut(t, at);
  newest_push(t, at);
  return 0;
}

/* ---- keys ---- */

void tm_seek_hash(const struct tm_log *log, struct tm_seek *k) {
  /* the same for short ones, without a call */
  uint64_t h = k->len <= 16 ? XXH3_len_0to16_64b((const xxh_u8 *)k->text, k->len, XXH3_kSecret, log->seed)
                            : XXH3_64bits_withSeed(k->text, k->len, log->seed);
  k->hash = (uint32_t)(h >> 32) | (h >> 32 == 0);
}

struct tm_seek tm_seek_key(const struct tm_log *log, const char *key, uint32_t len) {
  struct tm_seek k = {key, len, -1, 0};
  uint32_t n;
  if (len > 0 && tm_key_short(key, &n) && n + 1 == len) k = (struct tm_seek){key + 1, n, (unsigned char)key[0], 0};
  tm_seek_hash(log, &k);
  return k;
}

static uint32_t item_hash(const struct tm_table *t, const struct tm_item *it) {
  return tm_seek_key(t->log, it->key, it->key_len).hash;
}

static void keys_count(struct tm_table *t) { t->pub.keys = t->core.index.n; }

/* out of every order, but not freed */
static void item_unlink(struct tm_table *t, uint32_t at, uint32_t hash) {
  struct tm_item *it = tm_item_at(t, at);
  tm_index_remove(&t->core.index, tm_index_where(&t->core.index, hash, at));
  tm_arrival_set(&t->core.arrival, it->arrival, 0);
  if (t->links) links_cut(t, at);
  keys_count(t);
}

static int item_remove(struct tm_table *t, uint32_t at, uint32_t hash) {
  struct tm_item *it = tm_item_at(t, at);
  int32_t mark = t->log->pub.used;
  if (t->timed && tm_due_cancel(t, at) != 0) return -1;
  void *bytes = tm_changes_put(t->log, TM_CHANGE_REMOVE, t, at, sizeof it->key_len);
  if (bytes == NULL) {
    tm_changes_undo(t->log, mark);
    return -1;
  }
  memcpy(bytes, &it->key_len, sizeof it->key_len);
  item_unlink(t, at, hash);
  tm_arena_mark(it, sizeof *it);
  it->key_len = TM_ITEM_GONE;
  return 0;
}

void tm_table_drop(struct tm_table *t, uint32_t at, uint32_t hash) {
  TM_ASSERT(t->log->pub.used == 0 && !t->timed);
  item_unlink(t, at, hash);
  tm_item_ruin(t, at);
  tm_table_care_for(t);
}

/* room for one more key where max_keys is reached: 0 or a code */
static int full_handle(struct tm_table *t) {
  if (t->on_full == TM_ON_FULL_REFUSE) return TM_STATE_FULL;
  if (t->on_full == TM_ON_FULL_STOP) return TM_STATE_STOP;
  if (tm_changes_keep(t->log, &t->pub.evicted, sizeof t->pub.evicted) != 0) return TM_STATE_NO_MEMORY;
  if (item_remove(t, t->core.oldest, item_hash(t, tm_item_at(t, t->core.oldest))) != 0) return TM_STATE_NO_MEMORY;
  t->pub.evicted++;
  return 0;
}

/* One that would take up most of a line takes all of it: it lies in fewer lines then. */
static uint32_t item_size(uint32_t bytes) {
  uint32_t whole = (bytes + LINE - 1) & ~(uint32_t)(LINE - 1);
  return whole - bytes <= whole / LINE_SHARE ? whole : bytes;
}

static void *item_insert(struct tm_table *t, const struct tm_seek *k) {
  struct tm_core *c = &t->core;
  int32_t mark = t->log->pub.used;
  uint32_t tagged = k->tag >= 0, len = k->len + tagged;
  uint32_t size = t->record_off + t->record_size + (uint32_t)offsetof(struct tm_item, key) + len, at = 0;
  t->pub.code = TM_STATE_NO_MEMORY;
  if (t->max_keys != 0 && c->index.n >= t->max_keys) {
    int code = full_handle(t);
    if (code != 0) {
      t->pub.code = code;
      goto fail;
    }
  }
  if (tm_index_room(&c->index) != 0 || tm_arrival_room(&c->arrival) != 0) goto fail;
  at = tm_heap_alloc(&c->heap, item_size(size));
  if (at == 0 || tm_changes_put(t->log, TM_CHANGE_INSERT, t, at, 0) == NULL) goto fail;
  tm_arena_mark(tm_heap_at(&c->heap, at), size);
  struct tm_item *it = tm_item_at(t, at);
  it->key_len = (uint16_t)len;
  it->arrival = tm_arrival_push(&c->arrival, at);
  if (t->links) newest_push(t, at);
  if (t->timed) tm_due_none(t, at);
  memset(tm_record_at(t, at), 0, t->record_size);
  if (tagged) it->key[0] = (char)k->tag;
  memcpy(it->key + tagged, k->text, k->len);
  tm_index_insert(&c->index, k->hash, at);
  keys_count(t);
  t->pub.code = TM_STATE_NEW;
  return tm_record_at(t, at);
fail:
  if (at != 0) tm_heap_free(&c->heap, at);
  tm_changes_undo(t->log, mark);
  return NULL;
}

/* Records are short, and their length, a multiple of 8, is not known when this is compiled: one memcpy would be a call. */
static inline void record_copy(char *to, const char *from, uint32_t n) {
  for (; n >= 16; n -= 16, to += 16, from += 16) {
    memcpy(to, from, 16);
    __asm__ volatile("");
  }
  if (n != 0) memcpy(to, from, 8);
}

static inline int32_t item_announce(struct tm_table *t, uint32_t at) {
  char *to = tm_changes_put(t->log, TM_CHANGE_RECORD, t, at, t->record_size);
  if (to == NULL) return TM_STATE_NO_MEMORY;
  record_copy(to, tm_record_at(t, at), t->record_size);
  tm_arena_mark(tm_record_at(t, at), t->record_size);
  if (!t->links || tm_table_touch(t, at) == 0) return 0;
  tm_changes_undo(t->log, (int32_t)(to - t->log->mem.base));
  return TM_STATE_NO_MEMORY;
}

int32_t tm_ffi_state_announce(struct tm_state *s, void *record) {
  struct tm_table *t = tm_table_of(s);
  uint32_t at = tm_item_handle(t, record);
  return tm_item_at(t, at)->key_len == TM_ITEM_GONE ? TM_STATE_GONE : item_announce(t, at);
}

void *tm_table_write(struct tm_table *t, const struct tm_seek *k, uint32_t at) {
  if (at == 0) return item_insert(t, k);
  t->pub.code = item_announce(t, at);
  return t->pub.code == 0 ? tm_record_at(t, at) : NULL;
}

void *tm_ffi_state_write(struct tm_state *s, const struct tm_key *k) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek seek = tm_seek_key(t->log, k->bytes, (uint32_t)k->len);
  return tm_table_write(t, &seek, tm_table_find(t, &seek));
}

const void *tm_ffi_state_find(struct tm_state *s, const struct tm_key *k) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek seek = tm_seek_key(t->log, k->bytes, (uint32_t)k->len);
  uint32_t at = tm_table_find(t, &seek);
  s->code = 0;
  return at == 0 ? NULL : tm_record_at(t, at);
}

uint32_t tm_table_leaving(const struct tm_table *t, const void *record) {
  uint32_t hash = item_hash(t, tm_item_at(t, tm_item_handle(t, record)));
  tm_index_ask(&t->core.index, hash);
  return hash;
}

int32_t tm_table_remove(struct tm_table *t, const void *record, uint32_t hash) {
  return item_remove(t, tm_item_handle(t, record), hash) == 0 ? 0 : TM_STATE_NO_MEMORY;
}

int32_t tm_ffi_state_remove(struct tm_state *s, void *record) {
  struct tm_table *t = tm_table_of(s);
  const struct tm_item *it = tm_item_at(t, tm_item_handle(t, record));
  return it->key_len == TM_ITEM_GONE ? TM_STATE_GONE : tm_table_remove(t, record, item_hash(t, it));
}

const char *tm_ffi_state_key(struct tm_state *s, const void *record, int32_t *len) {
  struct tm_table *t = tm_table_of(s);
  struct tm_item *it = tm_item_at(t, tm_item_handle(t, record));
  *len = it->key_len - (int32_t)t->prefix;
  return it->key + t->prefix;
}

/* what the log keeps of a clear */
struct cleared { struct tm_core *core; };

int32_t tm_ffi_state_clear(struct tm_state *s) {
  struct tm_table *t = tm_table_of(s);
  struct tm_core *old = tm_account_alloc_hot(&t->account, sizeof *old), fresh;
  struct cleared what = {old};
  int32_t mark = t->log->pub.used;
  if (old == NULL) return TM_STATE_NO_MEMORY;
  void *p = tm_changes_put(t->log, TM_CHANGE_CLEAR, t, 0, sizeof what);
  if (p == NULL || core_init(&fresh, t) != 0) {
    if (p != NULL) t->log->pub.used = mark;
    tm_account_free(&t->account, old, sizeof *old);
    return TM_STATE_NO_MEMORY;
  }
  *old = t->core;
  memcpy(p, &what, sizeof what);
  /* positions go on, so that a walk under way does not go back */
  struct tm_arrival *a = &fresh.arrival;
  a->head = a->end = (old->arrival.end + TM_PAGE) & ~(uint64_t)(TM_PAGE - 1);
  a->counted_from = a->counted_to = a->head;
  t->core = fresh;
  t->moves++;
  s->base = t->core.heap.mem.base;
  keys_count(t);
  if (t->timed) tm_due_tell(t);
  return 0;
}

int32_t tm_ffi_state_recycle(struct tm_state *s) {
  struct tm_table *t = tm_table_of(s);
  struct tm_core *c = &t->core;
  struct tm_arrival *a = &c->arrival;
  const struct tm_budget *b = t->account.budget;
  /* only what can be emptied in one short call, when nothing could be taken back, and memory is not short */
  if (t->log->pub.used != 0 || t->timed || (b->limit > 0 && b->used > b->limit / 2)) return tm_ffi_state_clear(s);
  if (c->heap.page_bytes > RECYCLED_HEAP || c->index.counted > RECYCLED_SLOTS) return tm_ffi_state_clear(s);
  tm_heap_reset(&c->heap);
  tm_index_reset(&c->index);
  a->head = a->end;
  a->passing = 0;
  c->oldest = c->newest = c->ruin_items = c->ruin_notes = 0;
  c->sweep = c->sweep_item = 0;
  /* what stays is no waste */
  c->sweep_waste = c->heap.page_bytes;
  t->moves++;
  keys_count(t);
  tm_table_care_for(t);
  return 0;
}

/* ---- undoing and ending ---- */

static void clear_undo(struct tm_table *t, const void *bytes) {
  struct cleared what;
  memcpy(&what, bytes, sizeof what);
  tm_core_fini(&t->core);
  t->core = *what.core;
  t->moves++;
  t->pub.base = t->core.heap.mem.base;
  tm_account_free(&t->account, what.core, sizeof *what.core);
}

void tm_table_undo(const struct tm_change *e, const void *bytes) {
  struct tm_table *t = (struct tm_table *)(uintptr_t)e->who;
  struct tm_item *it = tm_item_at(t, e->at);
  struct tm_links l;
  switch (e->kind_len & 15) {
    case TM_CHANGE_RECORD:
      record_copy(tm_record_at(t, e->at), bytes, t->record_size);
      break;
    case TM_CHANGE_INSERT:
      item_unlink(t, e->at, item_hash(t, it));
      TM_ASSERT(it->arrival == (uint32_t)(t->core.arrival.end - 1));
      tm_arrival_pop(&t->core.arrival);
      tm_heap_free(&t->core.heap, e->at);
      t->moves++;
      break;
    case TM_CHANGE_REMOVE:
      tm_arena_mark(it, sizeof *it);
      memcpy(&it->key_len, bytes, sizeof it->key_len);
      tm_index_insert(&t->core.index, item_hash(t, it), e->at);
      tm_arrival_set(&t->core.arrival, it->arrival, e->at);
      if (t->links) links_restore(t, e->at, *tm_links_at(t, e->at));
      break;
    case TM_CHANGE_MOVED:
      memcpy(&l, bytes, sizeof l);
      links_cut(t, e->at);
      links_restore(t, e->at, l);
      break;
    case TM_CHANGE_ARMED:
    case TM_CHANGE_LEFT:
    case TM_CHANGE_DRAINED:
    case TM_CHANGE_HUNG:
      tm_due_undo(t, e, bytes);
      break;
    case TM_CHANGE_ALLOC:
      tm_heap_free(&t->core.heap, e->at);
      break;
    case TM_CHANGE_CLEAR:
      clear_undo(t, bytes);
      break;
    default:  /* FREE, RUIN: nothing was done yet */
      break;
  }
  keys_count(t);
  if (t->timed) tm_due_tell(t);
}

void tm_table_end(struct tm_log *log, const struct tm_change *e, const void *bytes) {
  struct tm_table *t = (struct tm_table *)(uintptr_t)e->who;
  struct cleared what;
  /* cleared twice in one event: each time there is something to give back */
  if (t->gone && (e->kind_len & 15) != TM_CHANGE_CLEAR) return;
  switch (e->kind_len & 15) {
    case TM_CHANGE_FREE:
      tm_heap_free(&t->core.heap, e->at);
      break;
    case TM_CHANGE_REMOVE:
      tm_item_ruin(t, e->at);
      break;
    case TM_CHANGE_RUIN:
      tm_note_ruin(t, e->at);
      break;
    case TM_CHANGE_CLEAR:
      memcpy(&what, bytes, sizeof what);
      what.core->next = log->dying;
      log->dying = what.core;
      log->pub.care = 1;
      t->gone = 1;
      break;
    default:
      break;
  }
  tm_table_care_for(t);
}
