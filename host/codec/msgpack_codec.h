/* msgpack_codec.h - msgpack streams to events (msgpack_read.c) and between msgpack and JSON text (msgpack_json.c).
 *
 * A stream is messages one behind the other, without anything between them; each is a map whose keys are texts. What is
 * valid is the msgpack specification, and beyond it: texts are UTF-8, keys of maps on all levels are texts, depth is
 * at most TM_JSON_DEPTH_MAX.
 *
 * A message whose structure is whole but whose content is not is one bad row, and the next one is read. Where the
 * structure breaks (the byte 0xc1, the end of input inside a message) nobody can know where the next message begins:
 * that is one bad row too, and nothing behind it is read. */
#ifndef TM_CODEC_MSGPACK_CODEC_H
#define TM_CODEC_MSGPACK_CODEC_H

#include "../abi_c.h"
#include "../event/fields.h"
#include "format.h"

/* Cuts messages off text[0..len) and decodes up to TM_BATCH_ROWS of them into b, as struct tm_format says. A row's line
 * is the byte in text where its message begins. */
void tm_msgpack_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event,
                       struct tm_cut *cut);
/* As struct tm_format says. */
int32_t tm_msgpack_skip(struct tm_skip *skip, const char *text, int32_t len, const char **broken);
/* Extracts field id over all rows of a batch already decoded. */
void tm_msgpack_fill(struct tm_batch *b, int32_t id);
/* For people: why text[0..len) is no event. */
int32_t tm_msgpack_explain(const char *text, int32_t len, char *why, int32_t why_size);

#endif
