/* cell.h - what lies in a struct tm_cell (abi.h), for those who write and read cells. */
#ifndef TM_CODEC_CELL_H
#define TM_CODEC_CELL_H

#include <string.h>

#include "../abi_c.h"

/* The num of a cell that is no number: a NaN that Lua can hold. head: bytes of a packed text's head, in front of the span; of
 * others 0, which makes it the canonical NaN. */
static inline double tm_cell_num(int32_t head) {
  uint64_t bits = 0x7ff8000000000000u | (uint64_t)(uint32_t)head << 32;
  double num;
  memcpy(&num, &bits, sizeof num);
  return num;
}

/* Bytes of the head in front of a packed text. */
static inline int32_t tm_cell_head(const struct tm_cell *c) {
  uint64_t bits;
  memcpy(&bits, &c->num, sizeof bits);
  return (int32_t)(bits >> 32 & 0xff);
}

/* A text that was made for a cell lies in the batch's side region; in front of it stands what of the event it was made of. */
struct tm_cell_origin {
  int32_t off, len;
  int32_t none;       /* 0: not to be taken for a note */
};

/* Has this cell a text in the side region? */
static inline int tm_cell_in_side(const struct tm_batch *b, const struct tm_cell *c) {
  const char *text = b->raw + c->off;
  return b->side != NULL && text >= b->side && text < b->side + b->side_cap;
}

static inline int tm_cell_kind(const struct tm_cell *c) { return c->tag & 15; }
static inline int32_t tm_cell_len(const struct tm_cell *c) { return c->tag >> 4; }

#endif
