/* format.h - the formats of streams: one entry a format, so that what depends on it is asked in one place.
 *
 * tm_batch.format says how the events of a source are written, tm_out.format how rows leave; both are set when a
 * source or a sink is made. Values of enum tm_format_id (abi.h) are the index of the table. */
#ifndef TM_CODEC_FORMAT_H
#define TM_CODEC_FORMAT_H

#include <stddef.h>

#include "../abi_c.h"

/* What a decoder found. */
struct tm_cut {
  int32_t used;              /* bytes consumed: whole events only */
  int32_t lines;             /* places passed in the source's way of counting: lines, or bytes */
  int32_t blank;             /* lines without anything */
  int32_t need;              /* nothing consumed: bytes that the first event takes at least */
  const char *broken;        /* the last row is where the text stops making sense, and why; nothing behind it can be read */
  int32_t broken_at;         /* at this byte */
  int32_t parts;             /* records (record.h) that are what another one was cut off from */
  int32_t parts_at;          /* line of the first, and why that one was ended: enum tm_record_end */
  int32_t parts_why;
  int32_t given_up;          /* lines with which the pattern of records did not get through */
};

/* Inside an event that is too long: how much of it is still to come. All zero at its start. Outlives a worker. */
struct tm_skip {
  uint64_t values;
  uint64_t bytes;
  int32_t begun;
  int32_t over;              /* 1: its end was passed */
};

struct tm_format {
  const char *name;
  int32_t first;             /* the place of the first event: line 1, byte 0 */
  const char *mark;          /* what a file may begin with that is no part of an event; NULL nothing */
  const char *place;         /* what stands before a place when it is told, so that lines and bytes differ */
  const char *not_object;    /* what is said of a valid value that is no event; NULL: explain says it */
  /* Decodes what text[0..len) holds into b, up to TM_BATCH_ROWS events (b->raw = text); TM_PAD readable bytes
   * on both sides. `final`: nothing comes behind the text. b->line_first must be set by the caller. */
  void (*decode)(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event, struct tm_cut *cut);
  /* Passes over as much of an event too long as text[0..len) has; returns the bytes passed. *broken: no end can be found. */
  int32_t (*skip)(struct tm_skip *skip, const char *text, int32_t len, const char **broken);
  /* Extracts field id over all rows of a batch already decoded. */
  void (*fill)(struct tm_batch *b, int32_t id);
  /* For people: why a bad row is no event. */
  void (*explain)(const struct tm_batch *b, int32_t row, char *why, int32_t why_size);
  /* Reads what a file begins with that is no event (csv.h: its header); NULL nothing. */
  int (*head)(struct tm_batch *b, const char *text, int32_t len, int final, struct tm_cut *cut);
};

extern const struct tm_format tm_formats[TM_FORMATS];

/* How the source of a batch is read. */
static inline const struct tm_format *tm_format_of(const struct tm_batch *b) {
  return &tm_formats[b->fluent != NULL ? TM_FORMAT_FLUENT : b->format];
}

/* The index of the format of that name, or -1. */
int32_t tm_format_find(const char *name);

#endif
