/* gen_keys.c - writes events with as many keys as asked for, each key equally often, in an order without a pattern.
 *
 *   gen_keys small|large EVENTS KEYS [FROM] > keys.ndjson
 *
 *   small   {"k":"c00001234","a":12.34}                  29 bytes
 *   large   13 fields as those of gen_cards.c, k and a among them, 228 bytes on average
 *
 * Every KEYS events hold each key once, each time in another order: a second pass in the order of the first would find the
 * records where they lie one behind the other. FROM is the event to begin with, so that a file can go on where another
 * one ends. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mask_of(uint64_t n) {
  uint64_t mask = 1;
  while (mask < n) mask *= 2;
  return mask - 1;
}

/* splitmix64's finish */
static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/* The i-th key of a pass: steps that each map the numbers up to mask one to one, repeated while the result is too large. */
static uint64_t key_of(uint64_t i, uint64_t pass, uint64_t mask, uint64_t n) {
  int half = (__builtin_popcountll(mask) + 1) / 2;
  do {
    for (uint64_t round = 1; round <= 4; round++) {
      uint64_t seed = mix(pass * 4 + round);
      i = (i * (seed | 1) + (seed >> 32)) & mask;
      i ^= i >> half;
    }
  } while (i >= n);
  return i;
}

static void small_write(uint64_t i, uint64_t key) {
  printf("{\"k\":\"c%08" PRIu64 "\",\"a\":%" PRIu64 ".%02" PRIu64 "}\n", key, i % 100, i % 89);
}

static void large_write(uint64_t i, uint64_t key) {
  static const char *const places[] = {"EUR\",\"country\":\"DE", "GBP\",\"country\":\"GB", "USD\",\"country\":\"US"};
  static const char *const channels[] = {"pos", "ecom", "contactless", "atm"};
  static const char *const statuses[] = {"authorized", "authorized", "declined"};
  uint64_t r = mix(i);
  printf("{\"ts\":%" PRIu64 ",\"id\":%" PRIu64 ",\"k\":\"c%08" PRIu64 "\",\"merchant\":\"m%05" PRIu64 "\",\"a\":%" PRIu64 ".%02" PRIu64
         ",\"currency\":\"%s\",\"lat\":5%" PRIu64 ".%06" PRIu64 ",\"lon\":-1%02" PRIu64 ".%06" PRIu64
         ",\"device\":\"dev-%08" PRIx64 "-%04" PRIx64 "\",\"channel\":\"%s\",\"mcc\":%" PRIu64 ",\"status\":\"%s\"}\n",
         1700000040000 + i, 1000000 + i, key, r % 10000, i % 100, i % 89, places[r % 3], r % 10, r % 999983, r % 80, r % 999979,
         r & 0xffffffff, r >> 48, channels[r >> 8 & 3], 4000 + r % 4000, statuses[r % 7 % 3]);
}

int main(int argc, char **argv) {
  int large = argc > 1 && strcmp(argv[1], "large") == 0;
  uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, keys = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
  uint64_t from = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
  if (argc > 5 || events == 0 || keys == 0 || (!large && strcmp(argv[1], "small") != 0)) {
    fprintf(stderr, "usage: gen_keys small|large EVENTS KEYS [FROM]\n");
    return 2;
  }
  uint64_t mask = mask_of(keys);
  for (uint64_t i = from; i < from + events; i++) {
    uint64_t key = key_of(i % keys, i / keys, mask, keys);
    if (large) large_write(i, key);
    else small_write(i, key);
  }
  return ferror(stdout) != 0 || fflush(stdout) != 0;
}
