/* packed.h - the values of events in either format: cells as they came, as JSON text, or for a row. */
#ifndef TM_CODEC_PACKED_H
#define TM_CODEC_PACKED_H

#include "cell.h"

/* The msgpack bytes of a cell of a msgpack batch, also of one whose text has been made. */
const char *tm_cell_packed(const struct tm_batch *b, const struct tm_cell *c, int32_t *len);
/* Appends a cell's value as a row of that format needs it: 0, -1 out of space, -2 the format has no such value. */
int32_t tm_cell_row_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c, int32_t format);
/* Writes a short plain text or a number of a msgpack batch as JSON; returns the place behind it, or `to`: it is neither.
 * TM_CELL_TEXT_ROOM bytes are free, TM_PAD more may be touched. */
enum { TM_CELL_TEXT_ROOM = 40 };
char *tm_cell_text(char *to, const struct tm_batch *b, const struct tm_cell *c);

#endif
