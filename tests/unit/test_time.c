/* test_time.c - points in time (host/codec/time.c): every day of 10,000 years against gmtime_r, texts cut at every byte in
 * memory that ends there, columns against texts one by one. Random texts are compared with Python in operators_time_spec. */
#include <math.h>
#include <time.h>

#include "../../host/abi_c.h"
#include "unit.h"

/* The text in a block of its own, so that a sanitizer sees what is read behind it. */
static double read_at(const char *text, int32_t len, int32_t unit) {
  char *copy = malloc(len > 0 ? (size_t)len : 1);
  memcpy(copy, text, (size_t)len);
  double ms = tm_ffi_time_text(copy, len, unit);
  free(copy);
  return ms;
}

static void days(void) {
  long wrong = 0, days_n = 0;
  for (time_t t = -62167219200; t < 253402300800; t += 86400, days_n++) {
    struct tm tm;
    char text[32];
    gmtime_r(&t, &tm);
    int32_t n = snprintf(text, sizeof text, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    wrong += tm_ffi_time_text(text, n, TM_TIME_ISO8601) != (double)t * 1000;
  }
  CHECK(wrong == 0 && days_n == 3652425, "%ld of %ld days", wrong, days_n);
}

static void cut(void) {
  static const char *texts[] = {"2024-02-29T23:59:59.123456789+23:59", "-1700000000000.000001e-3", "1700000000000000000"};
  for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
    for (int32_t len = 0; len <= (int32_t)strlen(texts[k]); len++)
      for (int32_t unit = TM_TIME_S; unit <= TM_TIME_ISO8601; unit++) {
        double ms = read_at(texts[k], len, unit);
        CHECK(isnan(ms) || fabs(ms) <= 9007199254740992.0, "%.*s", (int)len, texts[k]);
        if (unit == TM_TIME_ISO8601) CHECK(tm_ffi_text_iso8601(texts[k], len) == !isnan(ms), "%.*s", (int)len, texts[k]);
      }
}

static void numbers(void) {
  static const struct {
    const char *text;
    int32_t unit;
    double ms;
  } all[] = {
    {"1.001", TM_TIME_S, 1001},       {"-1.0001", TM_TIME_S, -1001},  {"9007199254740.992", TM_TIME_S, 9007199254740992},
    {"9007199254740.993", TM_TIME_S, NAN}, {"1e3", TM_TIME_MS, 1000}, {"0e99999999999", TM_TIME_MS, 0}, {"1e99999999999", TM_TIME_MS, NAN},
    {"1e-99999999999", TM_TIME_MS, 0}, {"-1e-99999999999", TM_TIME_MS, -1}, {"-0", TM_TIME_MS, 0}, {"1999", TM_TIME_US, 1},
    {"-1", TM_TIME_US, -1},           {"1700000000123456789", TM_TIME_NS, 1700000000123}, {"000000000000000000000000012", TM_TIME_MS, 12},
    {"710806624132113.98987477", TM_TIME_MS, 710806624132113},        {"", TM_TIME_MS, NAN}, {"1.", TM_TIME_MS, NAN}, {"e1", TM_TIME_MS, NAN},
  };
  for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
    double ms = read_at(all[k].text, (int32_t)strlen(all[k].text), all[k].unit);
    CHECK(isnan(all[k].ms) ? isnan(ms) : ms == all[k].ms && !signbit(ms) == !(all[k].ms < 0), "%s: %f", all[k].text, ms);
  }
}

/* A column gives what the texts give, or NaN and is counted. */
static void columns(void) {
  static struct tm_batch b;
  static struct tm_cell cells[TM_BATCH_ROWS + 1];
  static double times[TM_BATCH_ROWS];
  static char raw[TM_BATCH_ROWS * 24 + TM_PAD];
  uint64_t seed = 7;
  int32_t at = 0;
  b.raw = raw;
  b.format = TM_FORMAT_JSON;
  b.rows = TM_BATCH_ROWS;
  for (int32_t unit = TM_TIME_S; unit <= TM_TIME_NS; unit++) {
    int32_t none = 0, found, wrong = 0;
    at = 0;
    for (int32_t i = 0; i < b.rows; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      int kind = (int)(seed >> 60) % 4, n;
      long long v = (long long)(seed >> 14) % 9000000000000 - 90000000000;
      if (kind == 0) n = snprintf(raw + at, 24, "%lld", v);
      else if (kind == 1) n = snprintf(raw + at, 24, "%lld.%02d", v, (int)(seed % 100));
      else n = snprintf(raw + at, 24, "%lldx", v);
      int32_t text_kind = kind == 3 ? TM_KIND_STRING : kind == 2 ? TM_KIND_OBJECT : TM_KIND_NUMBER;
      cells[i] = (struct tm_cell){kind < 2 ? strtod(raw + at, NULL) : NAN, at, (int32_t)n << 4 | text_kind};
      b.status[i] = (uint8_t)(i % 100 == 3 ? TM_LINE_SYNTAX : TM_LINE_OK);
      at += n;
    }
    found = tm_ffi_time_column(&b, cells, unit, times);
    for (int32_t i = 0; i < b.rows; i++) {
      double ms = (cells[i].tag & 15) == TM_KIND_OBJECT ? NAN : tm_ffi_time_text(raw + cells[i].off, cells[i].tag >> 4, unit);
      wrong += !(isnan(ms) ? isnan(times[i]) : ms == times[i]);
      none += isnan(ms) && b.status[i] == TM_LINE_OK;
    }
    CHECK(wrong == 0 && none == found && none > 100 && none < 900, "unit %d: %d wrong, %d without, %d said", (int)unit, (int)wrong, (int)none,
          (int)found);
  }
}

int main(void) {
  days();
  cut();
  numbers();
  columns();
  return unit_end("test_time");
}
