/* gen_activity.c - writes a bank's activity as scripts/packs/card_fraud takes it, as NDJSON: many cards with a day of history each.
 *
 *   gen_activity EVENTS CARDS [PER_DAY] [SEED] > activity.ndjson
 *
 * Of 100 events 92 are payments (half at a till, 15 contactless, 5 at cash machines, 22 in web shops), 3 logins, 3 transfers, the others
 * refunds, chargebacks and changes of accounts. Each card has about PER_DAY (24) payments a day at random moments, at three regular
 * merchants of 20,000 and now and then another; some 240 bytes a line. One payment in 30 is declined, one event in twenty up to 4,999 ms late.
 *
 * The same seed gives the same bytes. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const double FIRST_MS = 1700000000000.0;
static const double DAY_MS = 86400000.0;
static const uint32_t MERCHANTS = 20000;

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

static void put_payment(uint32_t card) {
  static const char *const mccs[] = {"5411", "5812", "5999", "5541", "5732", "5691", "4111", "5912"};
  uint32_t what = random_below(92), merchant = random_below(10) == 0 ? random_below(MERCHANTS) : (card * 7 + random_below(3) * 4001) % MERCHANTS;
  const char *channel = what < 50 ? "chip" : what < 65 ? "contactless" : what < 70 ? "atm" : "ecom";
  double amount = floor(exp(3.2 + 0.6 * random_normal()) * 100) / 100 + 0.5;

  printf("\"kind\":\"payment\",\"card\":\"c%07u\",\"bin\":\"4%05u\",\"amount\":%.2f,\"merchant\":\"m%05u\",\"mcc\":\"%s\",\"country\":\"DE\","
         "\"utc_offset\":1,\"channel\":\"%s\",\"result\":\"%s\"", card, card % 40, amount, merchant, mccs[merchant % 8], channel,
         random_below(30) == 0 ? "declined" : "approved");
  if (what < 70) {
    printf(",\"terminal\":\"m%05u-%u\",\"lat\":%.3f,\"lon\":%.3f", merchant, random_below(3) + 1, 47.0 + card % 800 / 100.0 +
           random_share() / 10, 6.0 + card % 900 / 100.0 + random_share() / 10);
  } else {
    printf(",\"device\":\"d%07u\",\"ip\":\"10.%u.%u.%u\"", card, card / 62500 % 256, card / 250 % 250, card % 250);
    if (random_below(2)) printf(",\"address\":\"a%07u\"", card);
  }
}

static void put_other(uint32_t card) {
  uint32_t what = random_below(80);

  if (what < 30) {
    printf("\"kind\":\"login\",\"account\":\"k%07u\",\"device\":\"d%07u\",\"ip\":\"10.%u.%u.%u\",\"result\":\"%s\"", card, card,
           card / 62500 % 256, card / 250 % 250, card % 250, random_below(25) == 0 ? "declined" : "approved");
  } else if (what < 60) {
    printf("\"kind\":\"transfer\",\"account\":\"k%07u\",\"payee\":\"p%07u\",\"amount\":%.2f,\"device\":\"d%07u\"", card,
           (card * 3 + random_below(4)) % 300000, 10.0 + random_below(40000) / 100.0, card);
  } else if (what < 65) {
    printf("\"kind\":\"refund\",\"card\":\"c%07u\",\"amount\":%.2f,\"merchant\":\"m%05u\"", card, 5.0 + random_below(5000) / 100.0,
           card * 7 % MERCHANTS);
  } else if (what < 67) {
    printf("\"kind\":\"chargeback\",\"card\":\"c%07u\",\"amount\":20.00,\"merchant\":\"m%05u\",\"terminal\":\"m%05u-1\"", card,
           card * 7 % MERCHANTS, card * 7 % MERCHANTS);
  } else {
    static const char *const kinds[] = {"credit", "credit", "new_payee", "profile", "new_device", "reset"};
    uint32_t kind = random_below(6);
    printf("\"kind\":\"%s\",\"account\":\"k%07u\"", kinds[kind], card);
    if (kind < 2) printf(",\"amount\":%.2f", 100.0 + random_below(300000) / 100.0);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: gen_activity EVENTS CARDS [PER_DAY] [SEED]\n");
    return 2;
  }
  int64_t events = atoll(argv[1]);
  double per_day = argc > 3 ? atof(argv[3]) : 24;
  uint32_t cards = (uint32_t)atol(argv[2]);
  double step = DAY_MS / (cards * per_day), t = FIRST_MS;

  state = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
  for (int64_t i = 0; i < events; i++) {
    uint32_t card = random_below(cards);
    double late = random_below(20) == 0 ? random_below(5000) : 0;
    t += step * 2 * random_share();
    printf("{\"id\":\"e-%08lld\",\"ts\":%.0f,", (long long)i, floor(t - late));
    if (random_below(100) < 92) put_payment(card);
    else put_other(card);
    fputs("}\n", stdout);
  }
  return 0;
}
