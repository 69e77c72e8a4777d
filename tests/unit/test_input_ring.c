/* test_input_ring.c - the ring of what was read of a stream: seeded random reads, copies, epochs and deaths of its reader, at each place of a read,
 * against the stream itself, of which byte i is known. Nothing is missing and nothing comes twice; what is not released is there. */
#include "../../host/io/input_ring.h"
#include "unit.h"

static uint32_t seed = 1;
static uint32_t draw(uint32_t n) { return ((seed = seed * 1664525u + 1013904223u) >> 8) % n; }

/* Byte i of the stream; no byte of text, so that presets may be met. */
static char byte_at(int64_t i) { return (char)((uint64_t)i * 2654435761u >> 13); }

static int64_t source;   /* bytes that the descriptor has given */

static void give(char *to, int32_t n) {
  for (int32_t i = 0; i < n; i++) to[i] = byte_at(source + i);
  source += n;
}

/* A read that may end at each of its steps, as its process does: 1 it died. */
static int read_some(struct tm_input_ring *r, int32_t most) {
  int32_t n;
  char *to = tm_input_ring_room(r, &n);
  if (n > most) n = most;
  if (n == 0) return 0;
  uint32_t dies = draw(12);
  if (dies == 0) return 1;
  tm_input_ring_expect(r, n, seed);
  if (dies == 1) return 1;   /* before the system read */
  give(to, n);
  if (dies == 2) return 1;   /* before it is counted */
  tm_input_ring_took(r, n);
  return dies == 3;
}

static void check_copy(const struct tm_input_ring *r, int64_t offset, int32_t n) {
  static char bytes[1 << 20];
  int wrong = 0;
  tm_input_ring_copy(r, offset, bytes, n);
  for (int32_t i = 0; i < n; i++) wrong += bytes[i] != byte_at(offset + i);
  CHECK(wrong == 0, "at %lld: %d of %d bytes are others", (long long)offset, wrong, n);
}

static void run(uint32_t from, int64_t begin) {
  struct tm_input_ring *r = tm_input_ring_new();
  int64_t offset = begin, durable = begin, cut = begin;
  int full = 0, deaths = 0;
  if (r == NULL) abort();
  seed = from;
  source = begin;
  CHECK(tm_input_ring_begin(r, begin) == 0, "a new stream");
  for (int i = 0; i < 3000; i++) {
    int64_t rest = tm_input_ring_rest(r, offset);
    CHECK(rest >= 0 && offset + rest == source, "%lld of %lld bytes are there", (long long)(offset + rest), (long long)source);
    full += tm_input_ring_full(r);
    CHECK(tm_input_ring_full(r) == (source - durable == TM_INPUT_RING), "full");
    CHECK(tm_input_ring_waits(r) == (source - durable >= TM_INPUT_RING / 2), "waits");
    int died = 0;
    switch (draw(8)) {
      case 0:
        tm_input_ring_cut(r, cut = offset);
        break;
      case 1:
        if (draw(4) != 0) break;
        tm_input_ring_release(r);
        durable = cut;
        break;
      default:
        if (rest == 0) {
          died = read_some(r, 1 + (int32_t)draw(draw(3) == 0 ? 1 << 20 : 200));
        } else {
          int32_t n = (int32_t)(rest < 1 << 20 ? rest : 1 << 20);
          if (draw(2) == 0) n = 1 + (int32_t)draw((uint32_t)n);
          check_copy(r, offset, n);
          offset += n;
        }
    }
    if (!died) continue;
    deaths++;
    offset = cut = durable;
    CHECK(tm_input_ring_begin(r, offset) == 1, "the same stream");
  }
  CHECK(deaths > 20 && source > begin + TM_INPUT_RING, "%d deaths, %lld bytes, %d times full", deaths, (long long)(source - begin), full);
  tm_input_ring_free(r);
}

/* Nobody makes anything durable: SIZE bytes and not one more. */
static void test_full(void) {
  struct tm_input_ring *r = tm_input_ring_new();
  int32_t n;
  if (r == NULL) abort();
  source = 77;
  tm_input_ring_begin(r, 77);
  for (;;) {
    char *to = tm_input_ring_room(r, &n);
    if (n > 99999) n = 99999;
    if (n == 0) break;
    give(to, n);
    tm_input_ring_took(r, n);
  }
  CHECK(source == 77 + TM_INPUT_RING && tm_input_ring_full(r) && tm_input_ring_waits(r), "%lld", (long long)source);
  check_copy(r, 77, 1 << 20);
  check_copy(r, 77 + TM_INPUT_RING - (1 << 20), 1 << 20);
  tm_input_ring_cut(r, 78);
  CHECK(tm_input_ring_full(r), "not yet");
  tm_input_ring_release(r);
  tm_input_ring_room(r, &n);
  CHECK(n == 1 && !tm_input_ring_full(r), "room for %d", n);
  tm_input_ring_free(r);
}

int main(void) {
  for (uint32_t i = 1; i <= 20; i++) run(i, i % 2 == 0 ? 0 : (int64_t)i << 40);
  test_full();
  return unit_end("input_ring");
}
