/* feed.h - what a worker hands to a candidate beside it: the batches that it has moved through, with the decisions made of them.
 *
 *   worker   batch drained -> tm_feed_batch --+                                             never waits
 *                                             v
 *                          [ entry | entry | entry | ...           free ]   a ring in shared memory, TM_FEED_BYTES
 *                             ^ taken up to here
 *   candidate                 tm_feed_next ... tm_feed_taken
 *
 * An entry is a batch of a source as it was cut: the place of the source, the bytes, what the worker knew of other inputs then, and what its
 * packs decided. So the candidate decodes the same bytes into the same batch, and compares event by event. One writer, one reader.
 *
 * Bound and policy: the writer leaves out what does not fit, whole batches, and begins again when half of the ring is free, so that a
 * candidate that is too slow misses few long stretches instead of many short ones. What was left out is counted in the next entry. */
#ifndef TM_ENGINE_FEED_H
#define TM_ENGINE_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "../abi_c.h"
#include "../io/source.h"

enum { TM_FEED_BYTES = 64 << 20, TM_FEED_NOTES = 4 << 20 };   /* of the ring; of decisions of one batch */

/* IDLE: at now_ms inputs were silent, and steps were given what was due; COLUMNS: those of a source of CSV from here on (text); OVER: which files of a
 * source that takes them in turn have ended (a byte each, text) */
enum tm_feed_kind { TM_FEED_BATCH = 1, TM_FEED_IDLE, TM_FEED_COLUMNS, TM_FEED_OVER, TM_FEED_TO_START };

/* In front of an entry. Behind it: inputs_n struct tm_source_seen, notes_bytes of struct tm_decided, text_n bytes. */
struct tm_feed_entry {
  uint64_t size;             /* of all of it */
  uint64_t key;              /* of the source */
  double now_ms;             /* IDLE: the clock; BATCH: when it was received */
  uint64_t missed_events;    /* left out before it, since the entry before */
  uint64_t missed_batches;
  uint64_t unnoted;          /* decisions of it that found no room */
  int32_t kind;              /* enum tm_feed_kind */
  int32_t format;            /* of the events, enum tm_format_id */
  int32_t inputs_n;
  int32_t notes_bytes;
  int32_t text_n;
  int32_t rows;
  struct tm_source_state state;
  char origin[256];          /* the file it came from */
};

struct tm_feed;
struct tm_flows;

/* Shared memory, of which pages are taken as they are used; NULL: there is none. Control's, before it starts a worker. */
struct tm_feed *tm_feed_new(void);
void tm_feed_free(struct tm_feed *f);
/* Nothing is in it, and its pages are given back. Nobody reads or writes it. */
void tm_feed_clear(struct tm_feed *f);

/* ---- the worker's side ---- */

/* From here on decisions are noted (tm_ffi_decided), and batches are handed over; f NULL: they are only noted, as a candidate does itself.
 * 0, or -1: no memory. */
int tm_feed_begin(struct tm_feed *f, struct tm_flows *flows);
void tm_feed_end(struct tm_flows *flows);
/* 1: it has begun. */
int tm_feed_is_on(void);
/* Inputs are silent, and what is due by the clock begins: so they were then. */
void tm_feed_idle(const struct tm_flows *flows);
/* A batch of s, or what was due at idle_ms of a pseudo batch, has passed all pipelines and is still at hand. */
void tm_feed_batch(struct tm_flows *flows, const struct tm_source *s, double idle_ms);
/* What was noted of batches of that source, and forgets it; valid until the next is noted. unnoted: decisions without room. */
const char *tm_feed_notes(int32_t root, int32_t *bytes, uint64_t *unnoted);

/* ---- the candidate's side ---- */

/* The oldest entry, which stays until it was taken; NULL: there is none. */
const struct tm_feed_entry *tm_feed_next(struct tm_feed *f);
void tm_feed_taken(struct tm_feed *f, const struct tm_feed_entry *e);
static inline const struct tm_source_seen *tm_feed_inputs(const struct tm_feed_entry *e) { return (const struct tm_source_seen *)(const void *)(e + 1); }
static inline const char *tm_feed_entry_notes(const struct tm_feed_entry *e) { return (const char *)(tm_feed_inputs(e) + e->inputs_n); }
static inline const char *tm_feed_text(const struct tm_feed_entry *e) { return tm_feed_entry_notes(e) + e->notes_bytes; }

/* ---- for both, and for control ---- */

/* Bytes that wait; batches handed over and taken, events left out. */
struct tm_feed_counts { double bytes, given, taken, events, missed_events, missed_batches; };
void tm_feed_count(const struct tm_feed *f, struct tm_feed_counts *c);

#endif
