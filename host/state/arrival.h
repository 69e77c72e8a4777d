/* arrival.h - the order in which keys came: a log of handles that a walk reads from one end to the other.
 *
 * A key's item remembers its position. A new key is appended, a removed one leaves a hole. When holes are more than
 * keys a pass closes them, a few entries at a time and only between events: entries from `read` move to `write`, and
 * the items they name are told.
 *
 *   head          write            read                end
 *    | closed up   | nothing at all | not yet looked at | next key
 *
 * The log is a ring in a region; positions count on for ever, modulo 2^32. What lies before head costs nothing. */
#ifndef TM_STATE_ARRIVAL_H
#define TM_STATE_ARRIVAL_H

#include "arena.h"
#include "region.h"

struct tm_arrival {
  struct tm_region mem;
  struct tm_account *account;
  uint32_t *ring;
  uint64_t mask;
  uint64_t head, end;
  uint64_t counted_from, counted_to;  /* positions whose memory is counted: whole pages */
  uint64_t write, read;               /* of the pass under way */
  int32_t passing;
};

/* Room for `positions`, a power of two: 0 or -1. */
int tm_arrival_init(struct tm_arrival *a, struct tm_account *account, uint64_t positions);
void tm_arrival_fini(struct tm_arrival *a);
/* Of a log that is given up: gives back at most so many bytes of it; how many. */
size_t tm_arrival_bleed(struct tm_arrival *a, size_t most);
/* There is room for one more: 0 or -1. */
int tm_arrival_room(struct tm_arrival *a);
/* the entry at a position that an item remembers */
static inline const uint32_t *tm_arrival_at(const struct tm_arrival *a, uint32_t pos) { return a->ring + (pos & a->mask); }
/* 0 makes it a hole */
static inline void tm_arrival_set(struct tm_arrival *a, uint64_t pos, uint32_t at) {
  uint32_t *entry = a->ring + (pos & a->mask);
  tm_arena_mark(entry, sizeof *entry);
  *entry = at;
}
/* Appends and returns the position, or takes the last one back. */
static inline uint32_t tm_arrival_push(struct tm_arrival *a, uint32_t at) {
  tm_arrival_set(a, a->end, at);
  return (uint32_t)a->end++;
}
static inline void tm_arrival_pop(struct tm_arrival *a) {
  a->end--;
  tm_arrival_set(a, a->end, 0);
}

/* One entry of the pass: returns the handle that moved and its new position, or 0. */
uint32_t tm_arrival_step(struct tm_arrival *a, uint32_t *pos);
/* Between events: passes holes at the head, gives pages back, begins a pass when it is due for `keys` living keys.
 * 1 if there is more to do; the steps of a pass are the caller's. */
int tm_arrival_care(struct tm_arrival *a, uint64_t keys, int32_t steps);

#endif
