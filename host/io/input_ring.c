/* input_ring.c - a ring of bytes between a stream and epochs (input_ring.h). Each change is one store, so that a death leaves the old or the new. */
#include "input_ring.h"

#include <string.h>
#include <sys/mman.h>

#include "../base/err.h"
#include "../base/undo.h"

enum { PATTERN = 16, LAST = 0xFF };  /* LAST: in no UTF-8 text */

struct tm_input_ring {
  int64_t from, to;          /* offsets of the stream */
  int64_t cut;               /* what the epoch under way covers */
  int64_t expected;          /* where a read at hand will end, if it takes anything; at most `to`: none is at hand */
  int32_t begun;
  int32_t drawn;             /* the pattern is */
  unsigned char pattern[PATTERN];
  char bytes[TM_INPUT_RING];
};

struct tm_input_ring *tm_input_ring_new(void) {
  void *p = mmap(NULL, sizeof(struct tm_input_ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p != MAP_FAILED ? p : NULL;
}

void tm_input_ring_free(struct tm_input_ring *r) {
  if (r != NULL) munmap(r, sizeof *r);
}

static char *place(struct tm_input_ring *r, int64_t offset) { return r->bytes + offset % TM_INPUT_RING; }

/* Of a piece of n bytes that ends at `end`: are its last ones still those of the pattern? */
static int is_preset(const struct tm_input_ring *r, const char *end, int32_t n) {
  if (n > PATTERN) n = PATTERN;
  return memcmp(end - n, r->pattern + PATTERN - n, (size_t)n) == 0;
}

int tm_input_ring_begin(struct tm_input_ring *r, int64_t offset) {
  int goes_on = r->begun;
  if (!goes_on) {
    r->from = r->to = r->cut = r->expected = offset;
    tm_undo_fence();
    r->begun = 1;
  }
  if (r->expected > r->to) {
    const char *end = place(r, r->to) + (r->expected - r->to);
    if (!is_preset(r, end, (int32_t)(r->expected - r->to))) r->to = r->expected;
    r->expected = r->to;
  }
  TM_ASSERT(offset >= r->from && offset <= r->to);
  r->cut = offset;
  return goes_on;
}

int64_t tm_input_ring_rest(const struct tm_input_ring *r, int64_t offset) { return r->to - offset; }

void tm_input_ring_copy(const struct tm_input_ring *r, int64_t offset, char *to, int32_t n) {
  int32_t at = (int32_t)(offset % TM_INPUT_RING), first = TM_INPUT_RING - at < n ? TM_INPUT_RING - at : n;
  TM_ASSERT(offset >= r->from && n <= r->to - offset);
  memcpy(to, r->bytes + at, (size_t)first);
  memcpy(to + first, r->bytes, (size_t)(n - first));
}

char *tm_input_ring_room(struct tm_input_ring *r, int32_t *n) {
  int64_t free = TM_INPUT_RING - (r->to - r->from), straight = TM_INPUT_RING - r->to % TM_INPUT_RING;
  *n = (int32_t)(free < straight ? free : straight);
  return place(r, r->to);
}

void tm_input_ring_expect(struct tm_input_ring *r, int32_t n, uint64_t seed) {
  char *end = place(r, r->to) + n;
  if (!r->drawn) {
    for (int i = 0; i < PATTERN; i++) r->pattern[i] = (unsigned char)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
    r->pattern[PATTERN - 1] = LAST;
    r->drawn = 1;
  }
  int32_t preset = n < PATTERN ? n : PATTERN;
  memcpy(end - preset, r->pattern + PATTERN - preset, (size_t)preset);
  tm_undo_fence();
  r->expected = r->to + n;
  tm_undo_fence();
}

void tm_input_ring_took(struct tm_input_ring *r, int32_t n) {
  tm_undo_fence();
  r->to += n;
  tm_undo_fence();
  r->expected = r->to;
}

void tm_input_ring_cut(struct tm_input_ring *r, int64_t offset) { r->cut = offset; }
void tm_input_ring_release(struct tm_input_ring *r) { r->from = r->cut; }
int tm_input_ring_waits(const struct tm_input_ring *r) { return r->to - r->from >= TM_INPUT_RING / 2; }
int tm_input_ring_full(const struct tm_input_ring *r) { return r->to - r->from == TM_INPUT_RING; }
