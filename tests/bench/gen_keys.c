/* gen_keys.c - writes small events with as many keys as asked for, each key equally often, in an order without a pattern.
 *
 *   gen_keys EVENTS KEYS > keys.ndjson      {"k":"c00001234","a":12.34}
 *
 * Every KEYS events hold each key once: what is read twice inserts all keys the first time and only updates the second. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t mask_of(uint64_t n) {
  uint64_t mask = 1;
  while (mask < n) mask *= 2;
  return mask - 1;
}

/* the next of 0 .. n-1 in one cycle: a full-period generator modulo a power of two, what is too large passed over */
static uint64_t next_key(uint64_t key, uint64_t mask, uint64_t n) {
  do key = (key * 0x5851F42D4C957F2Du + 0x14057B7EF767814Fu) & mask;
  while (key >= n);
  return key;
}

int main(int argc, char **argv) {
  uint64_t events = argc == 3 ? strtoull(argv[1], NULL, 10) : 0, keys = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
  if (events == 0 || keys == 0) {
    fprintf(stderr, "usage: gen_keys EVENTS KEYS\n");
    return 2;
  }
  uint64_t mask = mask_of(keys), key = 0;
  for (uint64_t i = 0; i < events; i++) {
    key = next_key(key, mask, keys);
    printf("{\"k\":\"c%08" PRIu64 "\",\"a\":%" PRIu64 ".%02" PRIu64 "}\n", key, i % 100, i % 89);
  }
  return ferror(stdout) != 0 || fflush(stdout) != 0;
}
