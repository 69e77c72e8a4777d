/* due.c - arming, disarming, finding and taking what is due, and how each is undone.
 *
 * An item is in the slot its time asks for, or still in the one that is being emptied; new ones with a time of that slot
 * queue up behind it, so that equal times never overtake each other. */
#include "due.h"

#include <math.h>

#include "../base/err.h"
#include "table.h"

static const double TIME_MAX = 9007199254740992.0;  /* 2^53 */
enum { LEVEL_SLOTS = 1 << TM_DUE_DIGIT };

/* What the log keeps of an item that left its slot: slot and its least time count if the item was first or last there. */
struct left {
  struct tm_due_links links;
  uint64_t least;
  uint32_t slot, pad;
};
/* of a slot's list that was hung in front of another's */
struct hung {
  struct tm_due_slot from;
  uint32_t slot, pad;
};

static uint64_t time_in(double ms) { return (uint64_t)((int64_t)ms + ((int64_t)1 << 53)); }
static double time_out(uint64_t time) { return (double)((int64_t)time - ((int64_t)1 << 53)); }

static struct tm_due_links *due_at(const struct tm_table *t, uint32_t at) {
  return (struct tm_due_links *)(void *)tm_record_at(t, at) - 1;
}

/* the same, about to change */
static struct tm_due_links *due_change(const struct tm_table *t, uint32_t at) {
  struct tm_due_links *l = due_at(t, at);
  tm_arena_mark(l, sizeof *l);
  return l;
}

/* ---- where a time belongs ---- */

static uint32_t slot_at(uint64_t time, uint32_t level) {
  return level << TM_DUE_DIGIT | (uint32_t)(time >> (level * TM_DUE_DIGIT) & (LEVEL_SLOTS - 1));
}

static uint32_t level_of(uint64_t a, uint64_t b) { return (63 - (uint32_t)__builtin_clzll((a ^ b) | 1)) / TM_DUE_DIGIT; }

static uint32_t slot_of(const struct tm_wheel *w, uint64_t time) { return slot_at(time, level_of(time, w->hand.clock)); }

static uint32_t drain_slot(const struct tm_wheel *w) { return slot_at(w->hand.clock, (uint32_t)w->hand.drain); }

static struct tm_wheel *wheel_of(struct tm_due *d, uint64_t time) {
  return time < d->ahead.hand.clock ? &d->behind : &d->ahead;
}

/* The slot that item `at` is in, if it is first or last there; else one of two. */
static uint32_t slot_with(const struct tm_wheel *w, uint32_t at, uint64_t time) {
  if (w->hand.drain != 0) {
    uint32_t i = drain_slot(w);
    if (w->slots[i].head == at || w->slots[i].tail == at) return i;
  }
  return slot_of(w, time);
}

/* the first slot of a wheel that is not empty; nothing is before what is in it but in the slot being emptied */
static uint32_t slot_first(const struct tm_wheel *w) {
  uint32_t level = (uint32_t)__builtin_ctz(w->levels);
  return level << TM_DUE_DIGIT | (uint32_t)__builtin_ctzll(w->used[level]);
}

/* ---- lists ---- */

static void slot_open(struct tm_wheel *w, uint32_t i) {
  w->used[i >> TM_DUE_DIGIT] |= (uint64_t)1 << (i & (LEVEL_SLOTS - 1));
  w->levels |= 1u << (i >> TM_DUE_DIGIT);
}

static void slot_close(struct tm_wheel *w, uint32_t i) {
  uint32_t level = i >> TM_DUE_DIGIT;
  w->slots[i] = (struct tm_due_slot){0, 0, TM_DUE_NEVER};
  w->used[level] &= ~((uint64_t)1 << (i & (LEVEL_SLOTS - 1)));
  if (w->used[level] == 0) w->levels &= ~(1u << level);
}

/* Into slot i, between two that are neighbours there. Between two items i is of no account. */
static void link_in(struct tm_table *t, struct tm_wheel *w, uint32_t i, uint32_t at, struct tm_due_links l) {
  struct tm_due_slot *s = w->slots + i;
  *due_change(t, at) = l;
  if (l.prev != 0) due_change(t, l.prev)->next = at;
  else s->head = at;
  if (l.next != 0) due_change(t, l.next)->prev = at;
  else s->tail = at;
  if (l.prev != 0 && l.next != 0) return;
  if (l.time < s->least) s->least = l.time;
  slot_open(w, i);
}

static void link_last(struct tm_table *t, struct tm_wheel *w, uint32_t i, uint32_t at, uint64_t time) {
  link_in(t, w, i, at, (struct tm_due_links){w->slots[i].tail, 0, time});
}

/* out of slot i, which slot_with found */
static void link_cut(struct tm_table *t, struct tm_wheel *w, uint32_t i, uint32_t at) {
  struct tm_due_slot *s = w->slots + i;
  struct tm_due_links *own = due_change(t, at), l = *own;
  own->time = TM_DUE_NEVER;
  if (l.prev != 0) due_change(t, l.prev)->next = l.next;
  else s->head = l.next;
  if (l.next != 0) due_change(t, l.next)->prev = l.prev;
  else s->tail = l.prev;
  if (l.prev == 0 && l.next == 0) slot_close(w, i);
}

/* All of `from` in front of what slot i has. */
static void list_hang(struct tm_table *t, struct tm_wheel *w, uint32_t from, uint32_t i) {
  struct tm_due_slot *s = w->slots + i, f = w->slots[from];
  due_change(t, f.tail)->next = s->head;
  if (s->head != 0) due_change(t, s->head)->prev = f.tail;
  else s->tail = f.tail;
  s->head = f.head;
  if (f.least < s->least) s->least = f.least;
  slot_open(w, i);
  slot_close(w, from);
}

/* and back */
static void list_unhang(struct tm_table *t, struct tm_wheel *w, struct tm_due_slot f, uint32_t from, uint32_t i) {
  struct tm_due_slot *s = w->slots + i;
  uint32_t next = due_at(t, f.tail)->next;
  due_change(t, f.tail)->next = 0;
  w->slots[from] = f;
  slot_open(w, from);
  s->head = next;
  if (next != 0) due_change(t, next)->prev = 0;
  else slot_close(w, i);
}

/* ---- the clock ---- */

/* The hand is about to move: 0 or -1. */
static int hand_keep(struct tm_table *t, struct tm_wheel *w) {
  return t->log->pub.used == 0 ? 0 : tm_changes_keep(t->log, &w->hand, sizeof w->hand);
}

/* The clock of the wheel behind is at `time` or before it afterwards, at it if the wheel was empty, so that a late one
 * needs no draining. 0, or -1 half done, and logged. */
static int hand_back(struct tm_table *t, struct tm_wheel *w, uint64_t time) {
  if (w->levels == 0 ? w->hand.clock == time && w->hand.drain == 0 : w->hand.clock <= time) return 0;
  uint32_t level = level_of(w->hand.clock, time), to = slot_at(w->hand.clock, level);
  /* the lowest last, so that it is in front: the levels above may be what it was drained from */
  for (uint32_t l = level; l-- > 0;) {
    while (w->used[l] != 0) {
      uint32_t from = l << TM_DUE_DIGIT | (uint32_t)__builtin_ctzll(w->used[l]);
      if (t->log->pub.used != 0) {
        struct hung *h = tm_changes_put(t->log, TM_CHANGE_HUNG, t, to, sizeof *h);
        if (h == NULL) return -1;
        *h = (struct hung){w->slots[from], from, 0};
      }
      list_hang(t, w, from, to);
    }
  }
  if (hand_keep(t, w) != 0) return -1;
  w->hand.clock = time;
  if (w->hand.drain <= level || w->levels == 0) w->hand.drain = 0;
  return 0;
}

/* Empties the slot that is being emptied: 0, or a code when not all of it was moved. */
static int drain(struct tm_table *t, struct tm_wheel *w, int32_t *steps) {
  uint32_t from = drain_slot(w);
  while (w->slots[from].head != 0) {
    uint32_t at = w->slots[from].head;
    struct tm_due_links l = *due_at(t, at);
    if ((*steps)-- <= 0) return TM_STATE_MORE;
    if (l.next != 0) __builtin_prefetch(due_at(t, l.next));
    if (t->log->pub.used != 0 && tm_changes_put(t->log, TM_CHANGE_DRAINED, t, at, 0) == NULL) return TM_STATE_NO_MEMORY;
    link_cut(t, w, from, at);
    link_last(t, w, slot_of(w, l.time), at, l.time);
  }
  if (hand_keep(t, w) != 0) return TM_STATE_NO_MEMORY;
  w->hand.drain = 0;
  return 0;
}

/* The first item due by `upto`, which is first in its slot; *at gets it, or 0. 0 or a code: not done yet. */
static int first_find(struct tm_table *t, struct tm_wheel *w, uint64_t upto, uint32_t *at, int32_t *steps) {
  for (*at = 0;;) {
    int code = w->hand.drain != 0 ? drain(t, w, steps) : 0;
    if (code != 0) return code;
    if (w->levels == 0) return 0;
    uint32_t i = slot_first(w);
    struct tm_due_slot *s = w->slots + i;
    /* one alone needs no draining, unless the log may bring back others, that were earlier */
    int alone = s->head == s->tail && t->log->pub.used == 0;
    if (alone) s->least = due_at(t, s->head)->time;
    if (s->least > upto) return 0;
    if (alone || i < LEVEL_SLOTS) {
      *at = s->head;
      return 0;
    }
    if (hand_keep(t, w) != 0) return TM_STATE_NO_MEMORY;
    w->hand.clock = s->least;
    w->hand.drain = i >> TM_DUE_DIGIT;
  }
}

static int first_of_both(struct tm_table *t, uint64_t upto, uint32_t *at) {
  struct tm_due *d = t->core.due;
  int32_t steps = d->slice;
  int code = first_find(t, &d->behind, upto, at, &steps);
  /* what is behind and not due yet is still before all that is ahead */
  return code != 0 || *at != 0 || d->behind.levels != 0 ? code : first_find(t, &d->ahead, upto, at, &steps);
}

/* ---- one item ---- */

static uint64_t wheel_least(const struct tm_wheel *w) {
  if (w->levels == 0) return TM_DUE_NEVER;
  uint64_t least = w->slots[slot_first(w)].least, draining = w->hand.drain != 0 ? w->slots[drain_slot(w)].least : TM_DUE_NEVER;
  return draining < least ? draining : least;
}

void tm_due_tell(struct tm_table *t) {
  const struct tm_due *d = t->core.due;
  uint64_t least = wheel_least(d->behind.levels != 0 ? &d->behind : &d->ahead);
  t->pub.due = least == TM_DUE_NEVER ? (double)INFINITY : time_out(least);
}

static int arm(struct tm_table *t, uint32_t at, uint64_t time) {
  struct tm_due *d = t->core.due;
  struct tm_wheel *w = wheel_of(d, time);
  if (w == &d->behind && hand_back(t, w, time) != 0) return -1;
  if (tm_changes_put(t->log, TM_CHANGE_ARMED, t, at, 0) == NULL) return -1;
  uint32_t level = level_of(time, w->hand.clock);
  link_last(t, w, slot_at(time, level < w->hand.drain ? (uint32_t)w->hand.drain : level), at, time);
  return 0;
}

static int disarm(struct tm_table *t, uint32_t at) {
  struct tm_due_links *l = due_at(t, at);
  struct tm_wheel *w = wheel_of(t->core.due, l->time);
  struct left *left = tm_changes_put(t->log, TM_CHANGE_LEFT, t, at, sizeof *left);
  if (left == NULL) return -1;
  uint32_t i = slot_with(w, at, l->time);
  *left = (struct left){*l, w->slots[i].least, i, 0};
  link_cut(t, w, i, at);
  return 0;
}

int tm_due_cancel(struct tm_table *t, uint32_t at) {
  if (due_at(t, at)->time == TM_DUE_NEVER) return 0;
  int rc = disarm(t, at);
  tm_due_tell(t);
  return rc;
}

void tm_due_moved(struct tm_table *t, uint32_t old, uint32_t at) {
  struct tm_due_links l = *due_at(t, at);
  if (l.time == TM_DUE_NEVER) return;
  struct tm_wheel *w = wheel_of(t->core.due, l.time);
  struct tm_due_slot *s = w->slots + slot_with(w, old, l.time);
  if (l.prev != 0) due_change(t, l.prev)->next = at;
  else s->head = at;
  if (l.next != 0) due_change(t, l.next)->prev = at;
  else s->tail = at;
}

void tm_due_none(struct tm_table *t, uint32_t at) { due_change(t, at)->time = TM_DUE_NEVER; }

int tm_due_init(struct tm_table *t, struct tm_due **due) {
  struct tm_due *d = tm_account_alloc_hot(&t->account, sizeof *d);
  *due = d;
  if (d == NULL) return -1;
  d->slice = TM_DUE_SLICE;
  for (uint32_t i = 0; i < TM_DUE_SLOTS; i++) d->ahead.slots[i].least = d->behind.slots[i].least = TM_DUE_NEVER;
  return 0;
}

/* ---- undoing ---- */

void tm_due_undo(struct tm_table *t, const struct tm_change *e, const void *bytes) {
  struct tm_due *d = t->core.due;
  struct tm_due_links *own = due_at(t, e->at);
  struct tm_wheel *w;
  struct left left;
  struct hung h;
  uint64_t time;
  uint32_t from;
  switch (e->kind_len & 15) {
    case TM_CHANGE_ARMED:
      w = wheel_of(d, own->time);
      link_cut(t, w, slot_with(w, e->at, own->time), e->at);
      break;
    case TM_CHANGE_LEFT:
      memcpy(&left, bytes, sizeof left);
      w = wheel_of(d, left.links.time);
      link_in(t, w, left.slot, e->at, left.links);
      /* not later than any that left before it and comes back after it */
      if (left.links.prev == 0 && left.links.next == 0) w->slots[left.slot].least = left.least;
      break;
    case TM_CHANGE_DRAINED:
      time = own->time;
      w = wheel_of(d, time);
      from = drain_slot(w);
      link_cut(t, w, slot_of(w, time), e->at);
      link_in(t, w, from, e->at, (struct tm_due_links){0, w->slots[from].head, time});
      w->slots[from].least = w->hand.clock;
      break;
    default:  /* TM_CHANGE_HUNG */
      memcpy(&h, bytes, sizeof h);
      list_unhang(t, &d->behind, h.from, h.slot, e->at);
  }
}

/* ---- what Lua calls ---- */

static struct tm_table *timed(struct tm_state *s) {
  struct tm_table *t = tm_table_of(s);
  TM_ASSERT(t->core.due != NULL);
  return t;
}

static int gone(const struct tm_table *t, uint32_t at) { return tm_item_at(t, at)->key_len == TM_ITEM_GONE; }

int32_t tm_ffi_due_set(struct tm_state *s, void *record, double time_ms) {
  struct tm_table *t = timed(s);
  uint32_t at = tm_item_handle(t, record);
  int32_t mark = t->log->pub.used;
  if (isnan(time_ms)) return tm_ffi_due_cancel(s, record);
  if (fabs(time_ms) > TIME_MAX || time_ms != floor(time_ms)) return TM_STATE_RANGE;
  if (gone(t, at)) return TM_STATE_GONE;
  uint64_t time = time_in(time_ms), before = due_at(t, at)->time;
  if (time == before) return TM_STATE_OK;
  if ((before == TM_DUE_NEVER || disarm(t, at) == 0) && arm(t, at, time) == 0) {
    tm_due_tell(t);
    return before == TM_DUE_NEVER ? TM_STATE_NEW : TM_STATE_OK;
  }
  tm_changes_undo(t->log, mark);
  return TM_STATE_NO_MEMORY;
}

int32_t tm_ffi_due_cancel(struct tm_state *s, void *record) {
  struct tm_table *t = timed(s);
  uint32_t at = tm_item_handle(t, record);
  if (gone(t, at)) return TM_STATE_GONE;
  return tm_due_cancel(t, at) == 0 ? TM_STATE_OK : TM_STATE_NO_MEMORY;
}

double tm_ffi_due_time(struct tm_state *s, const void *record) {
  const struct tm_table *t = timed(s);
  uint64_t time = due_at(t, tm_item_handle(t, record))->time;
  return time == TM_DUE_NEVER ? (double)NAN : time_out(time);
}

double tm_ffi_due_first(struct tm_state *s) {
  struct tm_table *t = timed(s);
  uint32_t at;
  s->code = first_of_both(t, TM_DUE_NEVER - 1, &at);
  tm_due_tell(t);
  return s->due;
}

void *tm_ffi_due_pop(struct tm_state *s, double upto_ms) {
  struct tm_table *t = timed(s);
  uint32_t at;
  s->code = TM_STATE_OK;
  if (!(s->due <= upto_ms)) return NULL;
  /* whole, or the end of all time; not before `due`, so not below -2^53 */
  uint64_t upto = upto_ms >= TIME_MAX ? TM_DUE_NEVER - 1 : time_in(floor(upto_ms)), time;
  s->code = first_of_both(t, upto, &at);
  if (s->code == TM_STATE_OK && at != 0) {
    time = due_at(t, at)->time;
    if (disarm(t, at) == 0) s->due_popped = time_out(time);
    else s->code = TM_STATE_NO_MEMORY;
  }
  tm_due_tell(t);
  return s->code == TM_STATE_OK && at != 0 ? tm_record_at(t, at) : NULL;
}
