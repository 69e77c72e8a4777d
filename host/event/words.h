/* words.h - the few texts that a column holds again and again: countries, states, channels.
 *
 * A dictionary of one column: short text -> id. The decoder puts the id into a cell's num, which holds no number
 * (tm_words_num), and Lua keeps one string an id, so that reading such a text makes no string, however often it comes.
 * Only fields whose strings scripts read have one. Where most texts are new (ids, names) it gives up by itself; ids
 * given out before stay true. One thread; bounded. */
#ifndef TM_EVENT_WORDS_H
#define TM_EVENT_WORDS_H

#include <stdint.h>
#include <string.h>

#include "../abi_c.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "texts are cut to length by masks");

enum { TM_WORDS_SLOTS = 512, TM_WORD_BYTES = 15 };

struct tm_word {
  uint64_t head;             /* the first 8 bytes, zeros behind the text */
  uint64_t tail;             /* the others, and length + 1 in the last byte; 0: slot unused */
};

struct tm_words {
  struct tm_word slots[TM_WORDS_SLOTS];
  uint16_t ids[TM_WORDS_SLOTS];
  int32_t n;                 /* ids given out: 1..n, n <= TM_WORDS_MAX */
  uint32_t asked;            /* texts since the last look at how it goes */
  uint32_t unknown;          /* of them not found */
  int32_t off;               /* 1: given up */
};

/* A text that is not in its first slot: its id, made if there is room; 0: none. */
uint32_t tm_words_find(struct tm_words *w, uint64_t head, uint64_t tail);

static inline uint32_t tm_words_slot(uint64_t head, uint64_t tail) {
  return (uint32_t)(((head ^ tail * 0x9E3779B97F4A7C15u) * 0xC2B2AE3D27D4EB4Fu) >> 55);
}

/* The id of text[0..len), of which 16 bytes are readable; 0: it has none. */
static inline uint32_t tm_words_id(struct tm_words *w, const char *text, int32_t len) {
  uint64_t head, tail;
  if (len > TM_WORD_BYTES) return 0;
  memcpy(&head, text, 8);
  memcpy(&tail, text + 8, 8);
  if (len < 8) {
    head &= (UINT64_C(1) << 8 * len) - 1;
    tail = 0;
  } else {
    tail &= (UINT64_C(1) << 8 * (len - 8)) - 1;
  }
  tail |= (uint64_t)(len + 1) << 56;
  uint32_t i = tm_words_slot(head, tail);
  w->asked++;
  if (w->slots[i].head == head && w->slots[i].tail == tail) return w->ids[i];
  return tm_words_find(w, head, tail);
}

/* What a cell's num is for a text with this id: the NaN that has it in its lowest bits. */
static inline double tm_words_num(uint32_t id) {
  uint64_t bits = 0x7FF8000000000000u | id;
  double num;
  memcpy(&num, &bits, sizeof num);
  return num;
}

#endif
