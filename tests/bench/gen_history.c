/* gen_history.c - writes payments of many cards with a day of history each, as NDJSON: the input of the features and of a rule pack.
 *
 *   gen_history EVENTS CARDS [PER_DAY] [SEED] > payments.ndjson
 *
 * Each card has about PER_DAY (24) payments a day, at random moments: event time goes on by 86,400,000 / (CARDS * PER_DAY) ms an event on
 * average. 10 fields, some 170 bytes a line. A card has one of four devices and of three addresses, places around its home, log-normal
 * amounts of whole cents; one payment in ten is declined. One event in twenty is up to 4,999 ms late.
 *
 * The same seed gives the same bytes. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const double FIRST_MS = 1700000000000.0;
static const double DAY_MS = 86400000.0;

static uint64_t state;

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t random_next(void) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static double random_share(void) { return (double)(random_next() >> 11) * 0x1p-53; }
static uint32_t random_below(uint32_t n) { return (uint32_t)(random_share() * n); }

static double random_normal(void) {
  double u = random_share() + 0x1p-54, v = random_share();
  return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: gen_history EVENTS CARDS [PER_DAY] [SEED]\n");
    return 2;
  }
  double events = atof(argv[1]), per_day = argc > 3 ? atof(argv[3]) : 24;
  uint32_t cards = (uint32_t)atol(argv[2]);
  double step = DAY_MS / (cards * per_day), t = FIRST_MS;
  state = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
  for (double i = 0; i < events; i++) {
    uint32_t card = random_below(cards), device = random_below(8), address = random_below(6);
    double amount = floor(exp(3.2 + random_normal()) * 100) / 100, late = random_below(20) == 0 ? random_below(5000) : 0;
    t += step * 2 * random_share();
    printf("{\"id\":%.0f,\"ts\":%.0f,\"card\":\"c%07u\",\"device\":\"d%08u\",\"ip\":\"10.%u.%u.%u\",\"merchant\":\"m%05u\",\"amount\":%.2f,"
           "\"lat\":%.3f,\"lon\":%.3f,\"result\":\"%s\"}\n", i, floor(t - late), card, card * 4 + (device < 4 ? device : 0),
           (card + (address < 3 ? address : 0)) % 199, card / 199 % 251, card % 241, random_below(20000), amount + 0.5,
           (double)(card % 120) - 60 + random_share() / 10, (double)(card % 300) - 150 + random_share() / 10,
           random_below(10) == 0 ? "declined" : "approved");
  }
  return 0;
}
