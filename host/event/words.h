/* words.h - the few texts that a column holds again and again: countries, states, channels.
 *
 * A dictionary of one column: short text -> id, and the ids of the batch's rows. Lua keeps one string an id, so that
 * reading such a text makes no string, however often it comes; filters compare ids, 16 rows at a time.
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
  uint8_t ids[TM_WORDS_SLOTS];
  uint8_t codes[TM_BATCH_ROWS + TM_PAD]; /* of each row: its text's id; 0: the cell is no STRING, or one without an id */
  int32_t n;                 /* ids given out: 1..n, n <= TM_WORDS_MAX */
  uint32_t asked;            /* texts since the last look at how it goes */
  uint32_t unknown;          /* of them not found */
  int32_t off;               /* 1: given up */
};

/* A text that is not in its first slot: its id, made if there is room; 0: none. */
uint8_t tm_words_find(struct tm_words *w, uint64_t head, uint64_t tail);

/* The id of a text, none made for it; 0: it has none. No bytes behind the text are read. */
uint8_t tm_words_known(const struct tm_words *w, const char *text, int32_t len);

static inline uint32_t tm_words_slot(uint64_t head, uint64_t tail) {
  return (uint32_t)(((head ^ tail * 0x9E3779B97F4A7C15u) * 0xC2B2AE3D27D4EB4Fu) >> 55);
}

/* text[0..len) as a slot holds it, len <= TM_WORD_BYTES; 16 bytes are readable. */
static inline struct tm_word tm_word_of(const char *text, int32_t len) {
  struct tm_word w;
  memcpy(&w.head, text, 8);
  memcpy(&w.tail, text + 8, 8);
  if (len < 8) {
    w.head &= (UINT64_C(1) << 8 * len) - 1;
    w.tail = 0;
  } else {
    w.tail &= (UINT64_C(1) << 8 * (len - 8)) - 1;
  }
  w.tail |= (uint64_t)(len + 1) << 56;
  return w;
}

/* The id of text[0..len), of which 16 bytes are readable; 0: it has none. */
static inline uint8_t tm_words_id(struct tm_words *w, const char *text, int32_t len) {
  if (len > TM_WORD_BYTES || w->off) return 0;
  struct tm_word word = tm_word_of(text, len);
  uint32_t i = tm_words_slot(word.head, word.tail);
  w->asked++;
  if (w->slots[i].head == word.head && w->slots[i].tail == word.tail) return w->ids[i];
  return tm_words_find(w, word.head, word.tail);
}

#endif
