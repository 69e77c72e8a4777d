/* segments.h - the index of a large map: from a hash to the sequence number of an entry.
 *
 * Extendible hashing (Fagin and others, 1979): a directory of 2^depth handles, chosen by the hash's top bits, names
 * segments of up to 511 slots in open addressing. A full segment is doubled, from 15 slots on, then split; the directory
 * is doubled when a segment that has one place in it splits. So a call touches a segment or two, and the directory
 * (4 bytes for some 300 entries) at its rare doublings.
 *
 *   segment   | n | cap | depth | hash, seq | hash, seq | ...         a slot with hash 0 is empty
 *
 * Every change is logged; a call that fails leaves entries for the caller to undo. */
#ifndef TM_STATE_SEGMENTS_H
#define TM_STATE_SEGMENTS_H

#include "value.h"

struct tm_segment_slot { uint32_t hash, seq; };
struct tm_segment {
  uint16_t n, cap;
  uint32_t depth;         /* top bits that all its hashes share */
};
/* Lies in the map's root, which its owner has kept in the log. */
struct tm_segments {
  uint32_t dir;           /* handle of the directory; 0: no entry was ever made */
  uint32_t depth;
};

static inline struct tm_segment *tm_segment_of(const struct tm_table *t, const struct tm_segments *x, uint32_t hash) {
  const uint32_t *dir = tm_heap_at(&t->core.heap, x->dir);
  return tm_heap_at(&t->core.heap, dir[x->depth == 0 ? 0 : hash >> (32 - x->depth)]);
}
static inline struct tm_segment_slot *tm_segment_slots(struct tm_segment *g) {
  return (struct tm_segment_slot *)(void *)(g + 1);
}
/* the top bits choose the segment, so its slots go by the others */
static inline uint32_t tm_segment_home(const struct tm_segment *g, uint32_t hash) {
  return (uint32_t)(((uint64_t)(hash * 0x9e3779b1u) * g->cap) >> 32);
}
/* hashes are never 0 */
int tm_segments_insert(struct tm_table *t, struct tm_segments *x, uint32_t hash, uint32_t seq);
/* of an entry that is there; to: its new number */
int tm_segments_remove(struct tm_table *t, struct tm_segments *x, uint32_t hash, uint32_t seq);
int tm_segments_renumber(struct tm_table *t, struct tm_segments *x, uint32_t hash, uint32_t seq, uint32_t to);
/* see value.h */
int tm_segments_visit(struct tm_visit *v, struct tm_segments *x);

#endif
