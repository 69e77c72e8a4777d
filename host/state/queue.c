/* queue.c - putting events into order, taking them out, and fetching what they will need. */
#include "queue.h"

#include <math.h>

#include "../base/err.h"
#include "fetch.h"
#include "key.h"
#include "series.h"

enum { DIGIT = 6, LEVELS = 8, SLOTS = LEVELS << DIGIT, STEP = 1024 };
enum { LOW = 12, BLOCK = 1 << LOW, WORDS = BLOCK / 64, DAYS_AHEAD = 16 };
/* so many turns before its own an event is taken out of its list, places in indexes are asked for, items, and what hangs off these; so
 * many puts before its own a node is */
enum { FAR = 16, SOON = 8, NEAR = 4, NEXT = 2, PUTS = 3 };
static const size_t RESERVE = (size_t)16 << 30;
#define NEVER UINT64_MAX

struct list { uint32_t head, tail; };
struct slot { struct list list; uint64_t least; };

struct tm_queue {
  struct tm_region nodes;         /* by number from 1 */
  struct tm_region nexts;         /* uint32_t by number: the next in its list, of those not in use too; 0: the last */
  uint32_t room;                  /* for so many there is memory */
  uint32_t stride;
  int32_t values;
  uint32_t free;                  /* the first not in use, of one at least once there was an event: all that an event changes */
  uint32_t staged;                /* put since the last look: from here on, before `free` */
  int32_t taken;                  /* the first of the run has had its turn */
  uint32_t at, n;                 /* of the run, a ring: what is next, and up to where there are some */
  uint32_t slotted, fetched, read;  /* up to where was asked for what (items_fetch) */
  uint32_t run[TM_QUEUE_RUN];
  struct tm_table *also;          /* what will be asked for the keys too, or NULL */
  uint64_t clock;                 /* of the last that came into the run */
  uint64_t block;                 /* the calendar has this one and the next */
  uint64_t filled;                /* up to this one nothing is in the wheel */
  uint64_t sums[2], bits[2][WORDS];  /* which lists of the calendar are not empty, by the block's last bit */
  struct list days[2][BLOCK];     /* the calendar, a list a millisecond; those without their bit mean nothing */
  uint64_t from;                  /* the wheel's clock, a block */
  uint32_t drain;                 /* the level whose slot at the clock is being emptied; 0: none */
  uint32_t levels;
  uint64_t used[LEVELS];
  struct slot slots[SLOTS];
};

static uint64_t time_in(double ms) { return (uint64_t)((int64_t)ms + ((int64_t)1 << 53)); }
static double time_out(uint64_t time) { return (double)((int64_t)time - ((int64_t)1 << 53)); }

static struct tm_queued *node_at(const struct tm_queue *q, uint32_t id) {
  return (struct tm_queued *)(void *)(q->nodes.base + (size_t)id * q->stride);
}

static uint32_t *next_of(const struct tm_queue *q, uint32_t id) { return (uint32_t *)(void *)q->nexts.base + id; }

static void next_set(const struct tm_queue *q, uint32_t id, uint32_t next) {
  tm_arena_mark(next_of(q, id), sizeof next);
  *next_of(q, id) = next;
}

int tm_queue_init(struct tm_table *t, int32_t values) {
  if (t->queue != NULL) {
    t->queue->also = NULL;
    return t->queue->values == values ? 0 : -1;
  }
  struct tm_queue *q = tm_account_alloc_hot(&t->account, sizeof *q);
  if (q == NULL) return -1;
  q->stride = (uint32_t)((offsetof(struct tm_queued, values) + (size_t)values * sizeof(uint64_t) + TM_LINE - 1) / TM_LINE * TM_LINE);
  q->values = values;
  for (int i = 0; i < SLOTS; i++) q->slots[i].least = NEVER;
  if (tm_region_init(&q->nodes, &t->account, RESERVE) != 0) goto fail;
  if (tm_region_init(&q->nexts, &t->account, RESERVE / q->stride * sizeof(uint32_t)) != 0) goto fail_nexts;
  t->queue = q;
  return 0;
fail_nexts:
  tm_region_fini(&q->nodes);
fail:
  tm_account_free(&t->account, q, sizeof *q);
  return -1;
}

static size_t room_bytes(const struct tm_queue *q, uint32_t room) { return (size_t)room * (q->stride + sizeof(uint32_t)); }

static void more_free(struct tm_table *t, struct tm_queued *e) {
  uint32_t size;
  if (e->more == NULL) return;
  memcpy(&size, e->more, sizeof size);
  tm_account_free(&t->account, e->more, size);
  tm_arena_mark(&e->more, sizeof e->more);
  e->more = NULL;
}

void tm_queue_free(struct tm_table *t) {
  struct tm_queue *q = t->queue;
  if (q == NULL) return;
  for (uint32_t id = 1; id < q->room; id++) more_free(t, node_at(q, id));
  tm_account_give(&t->account, room_bytes(q, q->room));
  tm_region_fini(&q->nexts);
  tm_region_fini(&q->nodes);
  tm_account_free(&t->account, q, sizeof *q);
  t->queue = NULL;
}

/* ---- a node ---- */

struct tm_seek tm_queued_key(const struct tm_queued *e) {
  const char *text = e->len <= TM_QUEUE_KEY ? e->key : e->more + sizeof(uint32_t);
  return (struct tm_seek){text, e->len, e->tag, e->hash};
}

void tm_queued_value(const struct tm_queued *e, int32_t i, struct tm_value *out) {
  union tm_tagged as = {.bits = e->values[i]};
  int tag = tm_tag_of(as.bits);
  *out = (struct tm_value){0, NULL, 0, TM_VALUE_NIL};
  if (tm_tag_is_number(as.bits)) {
    out->num = as.num;
    out->kind = TM_VALUE_NUMBER;
  } else if (tm_tag_has_text(as.bits)) {
    const char *p = e->more + (uint32_t)as.bits;
    memcpy(&out->len, p, sizeof out->len);
    out->text = p + sizeof out->len;
    out->kind = tag == TM_TAG_JSON ? TM_VALUE_ANY : TM_VALUE_STRING;
  } else if (tag != TM_TAG_NIL) {
    out->kind = tag == TM_TAG_TRUE ? TM_VALUE_TRUE : TM_VALUE_FALSE;
  }
}

static int has_text(const struct tm_value *v) { return v->kind == TM_VALUE_STRING || v->kind == TM_VALUE_ANY; }

/* Memory for what does not fit into the node: 0 or a code. */
static int32_t more_alloc(struct tm_table *t, struct tm_queued *e, const struct tm_seek *k, const struct tm_value *values) {
  size_t size = k->len > TM_QUEUE_KEY ? k->len : 0;
  for (int32_t i = 0; i < t->queue->values; i++) {
    if (!has_text(values + i)) continue;
    if (values[i].len > TM_TEXT_MAX) return TM_STATE_TOO_LONG;
    size += sizeof(uint32_t) + (size_t)values[i].len;
  }
  if (size == 0) return 0;
  uint32_t all = (uint32_t)(size + sizeof all);
  if (size + sizeof all > INT32_MAX) return TM_STATE_TOO_LONG;
  e->more = tm_account_alloc(&t->account, all);
  if (e->more == NULL) return TM_STATE_NO_MEMORY;
  tm_arena_mark(e->more, all);
  memcpy(e->more, &all, sizeof all);
  return 0;
}

/* a value as it lies in the node; *at: what is used of `more` */
static int32_t value_put(struct tm_queued *e, int32_t i, const struct tm_value *v, uint32_t *at) {
  union tm_tagged as = {.num = v->num};
  int tag = v->kind == TM_VALUE_STRING ? TM_TAG_TEXT : v->kind == TM_VALUE_ANY ? TM_TAG_JSON : v->kind == TM_VALUE_TRUE ? TM_TAG_TRUE
            : v->kind == TM_VALUE_FALSE ? TM_TAG_FALSE : TM_TAG_NIL;
  e->values[i] = v->kind == TM_VALUE_NUMBER ? as.bits : (uint64_t)tag << 48;
  if (v->kind == TM_VALUE_NUMBER && v->num != v->num) return TM_STATE_TYPE;
  if (!has_text(v)) return 0;
  TM_ASSERT(e->more != NULL);
  e->values[i] |= *at;
  memcpy(e->more + *at, &v->len, sizeof v->len);
  if (v->len > 0) memcpy(e->more + *at + sizeof v->len, v->text, (size_t)v->len);
  *at += (uint32_t)sizeof v->len + (uint32_t)v->len;
  return 0;
}

static int32_t node_fill(struct tm_table *t, struct tm_queued *e, const struct tm_seek *k, const struct tm_value *values) {
  uint32_t at = sizeof(uint32_t);
  tm_arena_mark(e, t->queue->stride);
  more_free(t, e);  /* of an event that was rolled back */
  int32_t code = more_alloc(t, e, k, values);
  if (code != 0) return code;
  e->hash = k->hash;
  e->tag = k->tag;
  e->len = k->len;
  char *key = e->key;
  if (k->len > TM_QUEUE_KEY) {
    TM_ASSERT(e->more != NULL);
    key = e->more + at;
    at += k->len;
  }
  memcpy(key, k->text, k->len);
  for (int32_t i = 0; i < t->queue->values && code == 0; i++) code = value_put(e, i, values + i, &at);
  return code;
}

/* More nodes behind the last one that is not in use: 0 or -1. What is there is not touched, so there is nothing to undo. */
static int room_more(struct tm_table *t, struct tm_queue *q) {
  uint32_t room = q->room + STEP, from = q->room == 0 ? 1 : q->room;
  if ((size_t)room * q->stride > RESERVE || tm_region_open(&q->nodes, (size_t)room * q->stride) != 0) return -1;
  if (tm_region_open(&q->nexts, room * sizeof(uint32_t)) != 0) return -1;
  if (tm_account_take(&t->account, room_bytes(q, STEP)) != 0) return -1;
  tm_arena_mark(next_of(q, from), (room - from) * sizeof(uint32_t));
  for (uint32_t id = from; id < room; id++) *next_of(q, id) = id + 1 < room ? id + 1 : 0;
  if (q->free == 0) q->free = q->staged = from;
  else next_set(q, q->free, from);
  q->room = room;
  return 0;
}

/* The first free node becomes the event's, but is still free: 0 or a code. One is left behind it. */
static int32_t node_make(struct tm_table *t, const struct tm_seek *k, double time, const struct tm_value *values) {
  struct tm_queue *q = t->queue;
  if ((q->free == 0 || *next_of(q, q->free) == 0) && room_more(t, q) != 0) return TM_STATE_NO_MEMORY;
  int32_t code = node_fill(t, node_at(q, q->free), k, values);
  if (code != 0) return code;
  node_at(q, q->free)->time = time;
  if (time < t->pub.due) t->pub.due = time;
  return 0;
}

int32_t tm_queue_put(struct tm_table *t, const struct tm_seek *k, double time, const struct tm_value *values) {
  struct tm_queue *q = t->queue;
  int32_t code = node_make(t, k, time, values);
  if (code != 0) return code;
  if (tm_changes_keep(t->log, &q->free, sizeof q->free) != 0) return TM_STATE_NO_MEMORY;
  q->free = *next_of(q, q->free);
  return 0;
}

/* ---- the wheel of blocks ---- */

static uint32_t slot_at(uint64_t block, uint32_t level) { return level << DIGIT | (uint32_t)(block >> (level * DIGIT) & 63); }
static uint32_t level_of(uint64_t a, uint64_t b) { return (63 - (uint32_t)__builtin_clzll((a ^ b) | 1)) / DIGIT; }

static void wheel_add(struct tm_queue *q, uint32_t id, uint64_t time) {
  uint64_t block = time >> LOW;
  uint32_t level = level_of(block, q->from), i = slot_at(block, level < q->drain ? q->drain : level);
  struct slot *s = q->slots + i;
  next_set(q, id, 0);
  if (s->list.head == 0) s->list.head = id;
  else next_set(q, s->list.tail, id);
  s->list.tail = id;
  if (time < s->least) s->least = time;
  q->used[i >> DIGIT] |= (uint64_t)1 << (i & 63);
  q->levels |= 1u << (i >> DIGIT);
}

static void slot_close(struct tm_queue *q, uint32_t i) {
  q->slots[i] = (struct slot){{0, 0}, NEVER};
  q->used[i >> DIGIT] &= ~((uint64_t)1 << (i & 63));
  if (q->used[i >> DIGIT] == 0) q->levels &= ~(1u << (i >> DIGIT));
}

static uint32_t slot_first(const struct tm_queue *q) {
  uint32_t level = (uint32_t)__builtin_ctz(q->levels);
  return level << DIGIT | (uint32_t)__builtin_ctzll(q->used[level]);
}

/* nothing in the wheel is before; a slot that is being emptied comes first */
static uint64_t wheel_least(const struct tm_queue *q) {
  uint64_t least = q->levels == 0 ? NEVER : q->slots[slot_first(q)].least, draining;
  if (q->drain != 0 && (draining = q->slots[slot_at(q->from, q->drain)].least) < least) least = draining;
  return least;
}

/* ---- the calendar ---- */

static void calendar_add(struct tm_queue *q, uint32_t id, uint64_t time) {
  uint32_t half = (uint32_t)(time >> LOW) & 1, day = (uint32_t)time & (BLOCK - 1);
  struct list *l = &q->days[half][day];
  uint64_t bit = (uint64_t)1 << (day % 64), *word = &q->bits[half][day / 64];
  /* most are empty: then nothing of it is read, which would have to be waited for */
  if ((*word & bit) == 0) l->head = id;
  else next_set(q, l->tail, id);
  l->tail = id;
  *word |= bit;
  q->sums[half] |= (uint64_t)1 << (day / 64);
}

/* The first time in the calendar, or NEVER. */
static uint64_t calendar_first(const struct tm_queue *q) {
  for (uint64_t block = q->block; block <= q->block + 1; block++) {
    uint32_t half = block & 1;
    if (q->sums[half] == 0) continue;
    uint32_t word = (uint32_t)__builtin_ctzll(q->sums[half]);
    return block << LOW | word * 64 | (uint32_t)__builtin_ctzll(q->bits[half][word]);
  }
  return NEVER;
}

/* the first event of a time that is in the calendar */
static uint32_t calendar_take(struct tm_queue *q, uint64_t time) {
  uint32_t half = (uint32_t)(time >> LOW) & 1, day = (uint32_t)time & (BLOCK - 1);
  struct list *l = &q->days[half][day];
  uint32_t id = l->head;
  __builtin_prefetch(l + DAYS_AHEAD, 1);
  if (id != l->tail) {
    l->head = *next_of(q, id);
    return id;
  }
  q->bits[half][day / 64] &= ~((uint64_t)1 << (day % 64));
  if (q->bits[half][day / 64] == 0) q->sums[half] &= ~((uint64_t)1 << (day / 64));
  return id;
}

/* An event whose node is no longer free comes behind those of its time. */
static void place(struct tm_queue *q, uint32_t id) {
  uint64_t time = time_in(node_at(q, id)->time);
  if (time < q->clock) time = q->clock;
  if (time >> LOW <= q->filled) calendar_add(q, id, time);
  else wheel_add(q, id, time);
}

static void staged_place(struct tm_queue *q) {
  for (uint32_t id = q->staged, next; id != q->free; id = next) {
    next = *next_of(q, id);
    place(q, id);
  }
  q->staged = q->free;
}

int32_t tm_queue_put_now(struct tm_table *t, const struct tm_seek *k, double time, const struct tm_value *values) {
  struct tm_queue *q = t->queue;
  TM_ASSERT(t->log->pub.used == 0);
  staged_place(q);
  int32_t code = node_make(t, k, time, values);
  if (code != 0) return code;
  uint32_t id = q->free, soon = q->free = q->staged = *next_of(q, id);
  for (int n = 1; n < PUTS && soon != 0; n++) soon = *next_of(q, soon);
  __builtin_prefetch(node_at(q, soon), 1);
  place(q, id);
  return 0;
}

/* The slot of the wheel that comes first goes to the level below, or to the calendar, as far as that goes: 0, or MORE. */
static int32_t slot_empty(struct tm_queue *q, int32_t *steps) {
  uint32_t from = q->drain != 0 ? slot_at(q->from, q->drain) : slot_first(q), level = from >> DIGIT, id;
  struct slot *s = q->slots + from;
  if (level != 0 && q->drain == 0) q->from = s->least >> LOW;
  while ((id = s->list.head) != 0) {
    q->drain = level;
    if ((*steps)-- <= 0) return TM_STATE_MORE;
    uint64_t time = time_in(node_at(q, id)->time);
    s->list.head = *next_of(q, id);
    q->drain = 0;
    if (level == 0) calendar_add(q, id, time);
    else wheel_add(q, id, time);
  }
  slot_close(q, from);
  q->drain = 0;
  return 0;
}

/* What the calendar has room for comes out of the wheel: 0, or MORE, and until it is done what is put there goes to the wheel too. */
static int32_t calendar_fill(struct tm_queue *q, int32_t *steps) {
  while (q->filled < q->block + 1) {
    if (q->drain == 0 && (q->levels == 0 || q->slots[slot_first(q)].least >> LOW > q->block + 1)) q->filled = q->block + 1;
    else if (slot_empty(q, steps) != 0) return TM_STATE_MORE;
  }
  return 0;
}

/* ---- what is due ---- */

/* Its neighbours in the order of writing, which it will leave. */
static inline __attribute__((always_inline)) void links_fetch(const struct tm_table *t, uint32_t hash) {
  if (!t->links) return;
  const struct tm_index_slot *i = tm_index_seek(&t->core.index, hash);
  if (i->hash != hash) return;
  const struct tm_links *l = tm_links_at(t, i->at);
  __builtin_prefetch(tm_links_at(t, l->prev), 1);
  __builtin_prefetch(tm_links_at(t, l->next), 1);
}

/* What lies behind an item is often all in its series (table.h, follow). */
static inline __attribute__((always_inline)) void series_fetch(const struct tm_table *t, uint32_t hash) {
  if (t->follow < 0) return;
  const struct tm_index_slot *i = tm_index_seek(&t->core.index, hash);
  if (i->hash != hash) return;
  const struct tm_state_ref *ref = (const struct tm_state_ref *)(const void *)(tm_record_at(t, i->at) + t->follow);
  if (ref->at == TM_SERIES_INLINE || ref->at == 0) return;
  const char *p = tm_heap_at(&t->core.heap, ref->at);
  __builtin_prefetch(p, 1);
  __builtin_prefetch(p + TM_LINE, 1);
}

static struct tm_queued *run_at(const struct tm_queue *q, uint32_t i) { return node_at(q, q->run[i % TM_QUEUE_RUN]); }

static void items_fetch(const struct tm_table *t, struct tm_queue *q) {
  for (; q->slotted != q->n && q->slotted - q->at < SOON; q->slotted++) {
    uint32_t hash = run_at(q, q->slotted)->hash;
    tm_index_ask(&t->core.index, hash);
    if (q->also != NULL) tm_index_ask(&q->also->core.index, hash);
  }
  for (; q->fetched != q->slotted && q->fetched - q->at < NEAR; q->fetched++) {
    uint32_t hash = run_at(q, q->fetched)->hash;
    tm_item_fetch(t, hash, TM_KEY_GUESS);
    if (q->also != NULL) tm_item_fetch(q->also, hash, TM_KEY_GUESS);
  }
  for (; q->read != q->fetched && q->read - q->at < NEXT; q->read++) {
    uint32_t hash = run_at(q, q->read)->hash;
    series_fetch(t, hash);
    if (q->also != NULL) links_fetch(q->also, hash);
  }
}

/* The next that are due: 0 or MORE. */
static int32_t run_fill(struct tm_queue *q, double upto_ms) {
  uint64_t upto = upto_ms >= 0x1p53 ? NEVER - 1 : upto_ms < -0x1p53 ? 0 : time_in(floor(upto_ms)), time;
  int32_t steps = TM_QUEUE_SLICE, code = 0;
  while (q->n - q->at < FAR) {
    if ((code = calendar_fill(q, &steps)) != 0) break;
    time = calendar_first(q);
    if (time == NEVER) time = wheel_least(q);
    if (time > upto) break;
    if (time >> LOW != q->block) {
      q->block = time >> LOW;
      continue;
    }
    uint32_t id = calendar_take(q, time);
    q->clock = time;
    q->run[q->n++ % TM_QUEUE_RUN] = id;
    __builtin_prefetch(node_at(q, id));
  }
  return q->n != q->at ? 0 : code;
}

/* When the event at `at` of the run, or behind the run, is due. */
static void due_tell(struct tm_table *t, const struct tm_queue *q, uint32_t at) {
  if (at != q->n) {
    t->pub.due = run_at(q, at)->time;
    return;
  }
  uint64_t least = calendar_first(q), far = wheel_least(q);
  if (far < least) least = far;
  t->pub.due = least == NEVER ? (double)INFINITY : time_out(least);
}

/* the first of the run goes */
static void drop(struct tm_table *t, struct tm_queue *q) {
  uint32_t id = q->run[q->at++ % TM_QUEUE_RUN];
  if (q->slotted - q->at > TM_QUEUE_RUN) q->slotted = q->at;
  if (q->fetched - q->at > TM_QUEUE_RUN) q->fetched = q->at;
  if (q->read - q->at > TM_QUEUE_RUN) q->read = q->at;
  more_free(t, node_at(q, id));
  next_set(q, id, q->free);
  q->free = q->staged = id;
  q->taken = 0;
}

struct tm_queued *tm_queue_first(struct tm_table *t, double upto) {
  struct tm_queue *q = t->queue;
  TM_ASSERT(t->log->pub.used == 0);
  staged_place(q);
  if (q->taken) drop(t, q);
  t->pub.code = run_fill(q, upto);
  if (q->at == q->n || run_at(q, q->at)->time > upto) {
    due_tell(t, q, q->at);
    return NULL;
  }
  items_fetch(t, q);
  return run_at(q, q->at);
}

void tm_queue_take(struct tm_table *t) {
  struct tm_queue *q = t->queue;
  TM_ASSERT(t->log->pub.used == 0 && q->at != q->n);
  q->taken = 1;
  due_tell(t, q, q->at + 1);
}

/* ---- in another process ---- */

int32_t tm_queue_values(const struct tm_table *t) { return t->queue != NULL ? t->queue->values : -1; }

void tm_queue_resume(struct tm_table *t) {
  if (t->queue == NULL) return;
  tm_region_resume(&t->queue->nodes, &t->account);
  tm_region_resume(&t->queue->nexts, &t->account);
  /* who asks for the keys says so again */
  t->queue->also = NULL;
}

void tm_queue_regions(const struct tm_table *t, const struct tm_region **nodes, const struct tm_region **nexts) {
  *nodes = t->queue != NULL ? &t->queue->nodes : NULL;
  *nexts = t->queue != NULL ? &t->queue->nexts : NULL;
}

/* ---- what Lua calls ---- */

void tm_ffi_turns_also(struct tm_state *s, struct tm_state *other) { tm_table_of(s)->queue->also = tm_table_of(other); }

static const struct tm_queued *at_work(const struct tm_state *s) {
  const struct tm_queue *q = ((const struct tm_table *)(const void *)s)->queue;
  return q->at != q->n ? run_at(q, q->at) : NULL;
}

void *tm_ffi_turns_write(struct tm_state *s, struct tm_state *other) {
  const struct tm_queued *e = at_work(s);
  struct tm_table *t = tm_table_of(other);
  TM_ASSERT(e != NULL);
  struct tm_seek k = tm_queued_key(e);
  return tm_table_write(t, &k, tm_table_find(t, &k));
}

void tm_ffi_turns_key(const struct tm_state *s, struct tm_key *k) {
  const struct tm_queued *e = at_work(s);
  TM_ASSERT(e != NULL);
  struct tm_seek key = tm_queued_key(e);
  k->len = 0;
  if (key.tag >= 0) k->bytes[k->len++] = (char)key.tag;
  memcpy(k->bytes + k->len, key.text, key.len);
  k->len += (int32_t)key.len;
}
