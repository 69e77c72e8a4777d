/* json.h - NDJSON text to events (json_read*.c) and events to text (json_write.c).
 *
 * What is valid is RFC 8259's grammar, whatever fields scripts read; where it leaves a choice:
 * duplicate keys are allowed (the last is read), a lone surrogate escape is rejected, depth is at most 512,
 * text is UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
 * Lines end at LF whatever quotes are open, so that one bad line never ruins the next. */
#ifndef TM_CODEC_JSON_H
#define TM_CODEC_JSON_H

#include "../abi_c.h"
#include "../event/fields.h"

enum { TM_JSON_DEPTH_MAX = 512 };

/* Which scanner runs: chosen once from what the processor has, or by name ("portable", "avx2", "avx512";
 * TIDEMILL_SIMD in the environment) for tests. Returns the name in force; NULL: no such scanner here. */
const char *tm_json_use(const char *name);
/* The name of the scanner in force. */
const char *tm_json_used(void);

/* Cuts text[0..len) into lines and decodes up to TM_BATCH_ROWS of them into b (b->raw = text).
 * White-space-only lines are skipped but counted. `final`: the text's end ends the last line too.
 * Returns the bytes consumed (whole lines only). b->line_first must be set by the caller; *lines_out gets the
 * number of lines consumed. text needs TM_PAD readable bytes on both sides.
 * max_event: a longer line gets status TM_LINE_TOO_LONG. */
int32_t tm_json_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event,
                       int32_t *lines_out);

/* Extracts field id over all rows of a batch already decoded. */
void tm_json_fill(struct tm_batch *b, int32_t id);

/* For people: why text[0..len) is no event. Writes a sentence such as
 * "byte 17: expected ':' after a key, found '}'" into why; returns the offset. Slow, never on the hot path. */
int32_t tm_json_explain(const char *text, int32_t len, char *why, int32_t why_size);

#endif
