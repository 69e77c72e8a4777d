/* gen_cards.c - writes card transactions as NDJSON, the input of every benchmark.
 *
 *   gen_cards EVENTS [SEED] > cards.ndjson
 *
 * One event a millisecond of event time, 13 fields, 228 bytes a line on average. 100,000 cards, Zipf exponent
 * 0.8 over shuffled ranks; amounts log-normal (mu 3.6, sigma 1.1, at least 0.50), so that 18 % are above 100;
 * 30 % of the events are 1 to 4,999 ms late, so that a watermark 5 s behind loses none. Country, channel and
 * status each have values that 20 to 30 % of the events carry.
 *
 * The same seed gives the same bytes. The first N events of a longer file are the shorter file. Each event draws a
 * fixed number of random values, so a change to one field leaves the others as they were. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CARDS = 100000, MERCHANTS = 10000, OUT_SIZE = 1 << 20, LINE_MAX_BYTES = 512 };

static const double FIRST_MS = 1700000040000.0;
static const double FIRST_ID = 1000000.0;

/* One value of a field, how many of 100 events carry it and, for a country, what goes with it. */
struct choice {
  const char *text;
  int percent;
  const char *currency;
  int lat; /* tens of degrees */
};

static const struct choice countries[] = {
    {"DE", 26, "EUR", 5}, {"FR", 22, "EUR", 4}, {"GB", 21, "GBP", 5}, {"US", 12, "USD", 3},
    {"PL", 7, "PLN", 5},  {"CH", 6, "CHF", 4},  {"SE", 4, "SEK", 5},  {"BR", 2, "BRL", 1}};
static const struct choice channels[] = {
    {"pos", 28, NULL, 0}, {"ecom", 27, NULL, 0}, {"contactless", 24, NULL, 0}, {"atm", 21, NULL, 0}};
static const struct choice statuses[] = {
    {"authorized", 44, NULL, 0}, {"settled", 26, NULL, 0}, {"declined", 22, NULL, 0}, {"refunded", 8, NULL, 0}};
static const int codes[] = {5411, 5812, 5999, 6011, 4111, 5541, 7995, 5732};

static uint64_t seed_state[4];
static double card_cdf[CARDS];
static int32_t card_of_rank[CARDS];

/* xoshiro256++ (Blackman, Vigna), seeded with splitmix64. */
static uint64_t random_next(void) {
  uint64_t *s = seed_state, sum = s[0] + s[3], t = s[1] << 17;
  uint64_t result = ((sum << 23) | (sum >> 41)) + s[0];
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = (s[3] << 45) | (s[3] >> 19);
  return result;
}

static void random_seed(uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    seed_state[i] = z ^ (z >> 31);
  }
}

/* in [0, 1) */
static double random_unit(void) { return (double)(random_next() >> 11) * 0x1p-53; }

/* in [0, n); the bias of the product is far below what a benchmark can see */
static int random_below(int n) { return (int)(random_unit() * n); }

static const struct choice *choose(const struct choice *list) {
  int at = random_below(100);
  while (at >= list->percent) at -= (list++)->percent;
  return list;
}

static void cards_init(void) {
  double sum = 0;
  for (int i = 0; i < CARDS; i++) {
    sum += pow(i + 1, -0.8);
    card_cdf[i] = sum;
    card_of_rank[i] = i;
  }
  for (int i = 0; i < CARDS; i++) card_cdf[i] /= sum;
  for (int i = CARDS - 1; i > 0; i--) {
    int j = random_below(i + 1);
    int32_t t = card_of_rank[i];
    card_of_rank[i] = card_of_rank[j];
    card_of_rank[j] = t;
  }
}

static int32_t card_next(void) {
  double u = random_unit();
  int low = 0, high = CARDS - 1;
  while (low < high) {
    int middle = (low + high) / 2;
    if (card_cdf[middle] <= u) low = middle + 1;
    else high = middle;
  }
  return card_of_rank[low];
}

/* log-normal by Box and Muller, cut to cents */
static double amount_next(void) {
  double u = 1.0 - random_unit(), v = random_unit();
  double normal = sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
  double amount = exp(3.6 + 1.1 * normal);
  return amount < 0.5 ? 0.5 : amount;
}

static int event_write(char *out, double i) {
  int late = random_unit() < 0.3;
  int late_ms = 1 + random_below(4999);
  double ts = FIRST_MS + i - (late ? late_ms : 0);
  int32_t card = card_next();
  int merchant = random_below(MERCHANTS);
  double amount = amount_next();
  const struct choice *country = choose(countries);
  int lat = random_below(1000000), lon = random_below(36000000) - 18000000;
  /* three devices a card: the same card shows the same device again */
  uint32_t device = ((uint32_t)card * 3 + (uint32_t)random_below(3)) * 2654435761u;
  const struct choice *channel = choose(channels), *status = choose(statuses);
  return snprintf(out, LINE_MAX_BYTES,
                  "{\"ts\":%.0f,\"id\":%.0f,\"card\":\"c%06d\",\"merchant\":\"m%05d\",\"amount\":%.2f,"
                  "\"currency\":\"%s\",\"country\":\"%s\",\"lat\":%d%d.%05d,\"lon\":%.5f,"
                  "\"device\":\"dev-%08x-%04x\",\"channel\":\"%s\",\"mcc\":%d,\"status\":\"%s\"}\n",
                  ts, FIRST_ID + i, (int)card, merchant, amount, country->currency, country->text, country->lat,
                  lat / 100000, lat % 100000, lon / 100000.0, device, (device >> 7) & 0xffff, channel->text,
                  codes[merchant % 8], status->text);
}

int main(int argc, char **argv) {
  static char out[OUT_SIZE + LINE_MAX_BYTES];
  if (argc < 2) {
    fputs("usage: gen_cards EVENTS [SEED] > cards.ndjson\n", stderr);
    return 2;
  }
  long events = strtol(argv[1], NULL, 10);
  random_seed(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
  cards_init();
  size_t used = 0;
  for (long i = 0; i < events; i++) {
    used += (size_t)event_write(out + used, (double)i);
    if (used >= OUT_SIZE || i == events - 1) {
      if (fwrite(out, 1, used, stdout) != used) goto failed;
      used = 0;
    }
  }
  if (fflush(stdout) == 0) return 0;
failed:
  perror("gen_cards");
  return 1;
}
