/* words.c - the slow half of words.h: texts that collide, new ones, and giving up. */
#include "words.h"

enum { LOOK = 4096 };   /* texts between two looks at how many were unknown, at least */

/* Where more than a quarter of the texts is unknown to a full dictionary, looking costs more than it saves. */
static void words_look(struct tm_words *w) {
  if (w->n == TM_WORDS_MAX && w->unknown > w->asked / 4) w->off = 1;
  w->asked = 0;
  w->unknown = 0;
}

uint8_t tm_words_find(struct tm_words *w, uint64_t head, uint64_t tail) {
  uint32_t i = tm_words_slot(head, tail);
  if (w->asked >= LOOK) words_look(w);
  while (w->slots[i].tail != 0) {
    if (w->slots[i].head == head && w->slots[i].tail == tail) return w->ids[i];
    i = (i + 1) % TM_WORDS_SLOTS;
  }
  w->unknown++;
  if (w->n == TM_WORDS_MAX || w->off) return 0;
  w->slots[i] = (struct tm_word){head, tail};
  return w->ids[i] = (uint8_t)++w->n;
}

uint8_t tm_words_known(const struct tm_words *w, const char *text, int32_t len) {
  char padded[16] = {0};
  if (len > TM_WORD_BYTES) return 0;
  if (len > 0) memcpy(padded, text, (size_t)len);
  struct tm_word word = tm_word_of(padded, len);
  uint32_t i = tm_words_slot(word.head, word.tail);
  for (; w->slots[i].tail != 0; i = (i + 1) % TM_WORDS_SLOTS)
    if (w->slots[i].head == word.head && w->slots[i].tail == word.tail) return w->ids[i];
  return 0;
}
