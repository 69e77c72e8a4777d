/* fluent.h - msgpack as Fluent Bit and fluentd write it: events inside messages, a time beside each record.
 *
 *   event           [time, record]   [[time, metadata], record]      files, HTTP, stdin of Fluent Bit
 *   Message         [tag, time, record]                              the forward protocol; each may have an option behind it
 *   Forward         [tag, [event, event, …]]
 *   PackedForward   [tag, bin]                                       the bin (or str) holds events, end to end
 *
 * time is an EventTime (extension 0: seconds and nanoseconds), an integer, a float, or a timestamp of msgpack. An event becomes a
 * map of msgpack: its time as a timestamp under `time_key`, the tag under `tag_key` if that was asked for, and the record's
 * own bytes. These maps are put together in `room`, a part of the source's buffer that a new worker fills again from the same
 * bytes, so whoever reads a batch sees one of msgpack (tm_batch.format) and nothing else.
 *
 * A message of the forward protocol may be larger than any batch: where in one a batch begins is a tm_fluent_at, kept by the
 * source with its position. Refused: compressed entries, tags over TM_FLUENT_TAG bytes. No event, and passed over: nil (a
 * heartbeat) and the marks of groups, whose time is -1 or -2. */
#ifndef TM_CODEC_FLUENT_H
#define TM_CODEC_FLUENT_H

#include "../abi_c.h"
#include "../event/fields.h"
#include "format.h"

enum {
  TM_FLUENT_TAG = 255,              /* bytes of a tag at most */
  TM_FLUENT_KEY = 255,              /* of the names of fields that are added */
  TM_FLUENT_ROOM = 2 * 1024 * 1024  /* what room has beyond the longest event */
};

enum tm_fluent_in {
  TM_FLUENT_FRONT,                  /* in front of a message */
  TM_FLUENT_ENTRIES,                /* in an array of events */
  TM_FLUENT_PACKED                  /* in a bin of events */
};

/* Where in a message text begins. All zero: in front of one. */
struct tm_fluent_at {
  int32_t in;                       /* enum tm_fluent_in */
  int32_t tag_len;
  uint64_t left;                    /* ENTRIES: events still to come; PACKED: bytes */
  uint64_t behind;                  /* values behind the events: the option */
  uint64_t values, bytes;           /* passed over before anything is looked at */
  char tag[TM_FLUENT_TAG];
};

/* Names of fields, of 1 to TM_FLUENT_KEY bytes; they are read of every event. */
struct tm_fluent_options {
  const char *time_key;
  const char *tag_key;              /* NULL: the tag is left out */
};

/* How a source is read, of its tm_batch. room: TM_FLUENT_ROOM bytes more than the longest event, within 2^31 of the text.
 * NULL: no memory. */
struct tm_fluent *tm_fluent_new(struct tm_fields *fields, const struct tm_fluent_options *options, char *room, int32_t size);
void tm_fluent_free(struct tm_fluent *f);
/* Where the text given to tm_fluent_decode begins; afterwards, where what it consumed ended. */
void tm_fluent_set(struct tm_batch *b, const struct tm_fluent_at *at);
void tm_fluent_get(const struct tm_batch *b, struct tm_fluent_at *at);
/* Must more come? */
static inline int tm_fluent_inside(const struct tm_fluent_at *at) {
  return (at->values | at->bytes | at->left | at->behind) != 0;
}

/* As struct tm_format says; with len 0 and `final` it tells that the input ended inside a message. It passes over what is
 * too long by itself. */
void tm_fluent_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event, struct tm_cut *cut);
void tm_fluent_explain(const struct tm_batch *b, int32_t row, char *why, int32_t why_size);

#endif
