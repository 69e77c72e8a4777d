/* test_zone.c - files of time zones (host/library/zone.c) that are cut, changed and made up: each is refused or answers with
 * offsets that exist, and never touches what is not its own (sanitizers). What right files say is compared with GNU date
 * and Python in library_date_spec. */
#include "../../host/library/zone.h"

#include "unit.h"

enum { FILE_MAX = 8192 };

static char file[FILE_MAX];

static int32_t read_zone(const char *name) {
  char path[200];
  snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
  FILE *f = fopen(path, "rb");
  if (f == NULL) return 0;
  int32_t n = (int32_t)fread(file, 1, sizeof file, f);
  fclose(f);
  return n;
}

/* a copy without room behind it, so that a read too far is seen */
static struct tm_zone *zone_of(const char *bytes, int32_t len) {
  char *own = malloc(len > 0 ? (size_t)len : 1);
  memcpy(own, bytes, (size_t)len);
  struct tm_zone *z = tm_ffi_zone_new(own, len);
  free(own);
  return z;
}

static int sane(struct tm_zone *z) {
  static const int64_t times[] = {-62167219200, -2208988800, -1, 0, 1711846800, 1729990800, 4102444800, 253402300799};
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    int32_t a = tm_zone_at(z, times[i])->offset_s, b = tm_zone_at_local(z, times[i])->offset_s;
    if (a < -200 * 3600 || a > 200 * 3600 || b < -200 * 3600 || b > 200 * 3600) return 0;
  }
  return 1;
}

static void test_damage(const char *name) {
  int32_t n = read_zone(name), taken = 0;
  int bad = 0;
  CHECK(n > 100, "%s has %d bytes", name, n);
  for (int32_t cut = 0; cut < n; cut++) {
    struct tm_zone *z = zone_of(file, cut);
    if (z != NULL && !sane(z)) bad++;
    taken += z != NULL;
    tm_zone_free(z);
  }
  CHECK(bad == 0 && taken == 0, "%s: %d cuts were taken, %d answer nonsense", name, taken, bad);
  for (int32_t i = 0; i < n; i++) {
    for (int bit = 0; bit < 8; bit++) {
      file[i] ^= (char)(1 << bit);
      struct tm_zone *z = zone_of(file, n);
      if (z != NULL && !sane(z)) bad++;
      tm_zone_free(z);
      file[i] ^= (char)(1 << bit);
    }
  }
  CHECK(bad == 0, "%s: %d changed files answer nonsense", name, bad);
}

/* a file of version 2 that has one type and this rule */
static struct tm_zone *zone_of_rule(const char *rule) {
  char made[300] = {0};
  int32_t n = 0;
  for (int part = 0; part < 2; part++) {
    memcpy(made + n, "TZif2", 5);
    made[n + 39] = 1;   /* types */
    made[n + 43] = 4;   /* characters */
    n += 44 + 6;
    memcpy(made + n, "XXX", 4);
    n += 4;
  }
  n += snprintf(made + n, sizeof made - (size_t)n, "\n%s\n", rule);
  return zone_of(made, n);
}

static void test_rules(void) {
  static const char *const wrong[] = {"X", "AB3", "ABC", "ABC+", "ABC25:", "ABC3DEF", "ABC3DEF,M3.2.0", "ABC3DEF,M13.1.0,M1.1.0",
                                      "ABC3DEF,M3.0.0,M1.1.0", "ABC3DEF,M3.6.0,M1.1.0", "ABC3DEF,M3.1.7,M1.1.0", "ABC3DEF,J0,J1",
                                      "ABC3DEF,366,1", "ABC3DEF,M3.1.0,M4.1.0x", "<AB3", "ABC168", "ABC3DEF,M3.1.0/168,M4.1.0"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) CHECK(zone_of_rule(wrong[i]) == NULL, "the rule %s is taken", wrong[i]);
  /* POSIX's own example, and the forms of days: offsets east of UTC in January and July 2030 (2030-01-15, 2030-07-15) */
  static const struct { const char *rule; int32_t january, july; } right[] = {
    {"EST5EDT,M3.2.0,M11.1.0", -5 * 3600, -4 * 3600}, {"<+03>-3", 3 * 3600, 3 * 3600}, {"NZST-12NZDT,M9.5.0,M4.1.0/3", 13 * 3600, 12 * 3600},
    {"IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600}, {"AAA0BBB,J60,J300", 0, 3600}, {"AAA0BBB,59,299", 0, 3600},
    {"AAA0BBB-2:30:15,M1.1.1/-167,M12.5.0/167", 9015, 9015}, {"XXX3EDT4,0/0,J365/23", -4 * 3600, -4 * 3600},
  };
  for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
    struct tm_zone *z = zone_of_rule(right[i].rule);
    CHECK(z != NULL, "the rule %s is refused", right[i].rule);
    if (z == NULL) continue;
    int32_t january = tm_zone_at(z, 1894665600)->offset_s, july = tm_zone_at(z, 1910304000)->offset_s;
    CHECK(january == right[i].january && july == right[i].july, "%s: %d and %d", right[i].rule, january, july);
    tm_zone_free(z);
  }
}

/* What clocks have shown, and when they first had, say the same: around each change of a zone, minute by minute. */
static void test_line(const char *name) {
  struct tm_zone *z = zone_of(file, read_zone(name));
  CHECK(z != NULL, "%s is refused", name);
  if (z == NULL) return;
  int64_t bad = 0, backwards = 0;
  for (int64_t day = -3000; day < 25000; day++) {
    int64_t s = day * 86400;
    if (tm_zone_at(z, s)->offset_s == tm_zone_at(z, s + 86400)->offset_s) continue;
    double before = tm_ffi_zone_reached(z, (double)(s - 86400) * 1000);
    for (int64_t t = s - 86400; t < s + 2 * 86400; t += 60) {
      double ms = (double)t * 1000, line = tm_ffi_zone_reached(z, ms);
      backwards += line < before;
      before = line;
      bad += tm_ffi_zone_first(z, line) > ms;                        /* it was shown by then */
      bad += tm_ffi_zone_first(z, line + 1) <= ms;                   /* and no more than that */
      double first = tm_ffi_zone_first(z, ms);
      bad += tm_ffi_zone_reached(z, first) < ms || tm_ffi_zone_reached(z, first - 1) >= ms;
    }
  }
  CHECK(bad == 0 && backwards == 0, "%s: %lld times are not on one line, %lld run back", name, (long long)bad, (long long)backwards);
  tm_zone_free(z);
}

int main(void) {
  static const char *const zones[] = {"Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo",
                                      "America/Havana", "America/St_Johns", "Asia/Kathmandu", "Africa/Casablanca", "UTC"};
  for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) test_line(zones[i]);
  test_damage("Europe/Dublin");
  test_damage("Australia/Lord_Howe");
  test_damage("UTC");
  test_rules();
  return unit_end("zone");
}
