/* test_summary.c - engine/shared and engine/summary: the block's regions, and what the end of a run says.
 *
 * Expected texts are written by hand from api.md's list (in, out, dropped, late, failed, rate, quantiles, rows by
 * sink, failures with their first example); the JSON line is also one that an independent parser accepts, which the
 * black-box specs check. A worker that died in the middle of writing is played by arrays without a terminator. */
#include <math.h>
#include <stdint.h>

#include "../../host/base/err.h"
#include "../../host/engine/shared.h"
#include "../../host/engine/summary.h"
#include "unit.h"

static void regions(void) {
  struct tm_err err;
  struct tm_shared *s = tm_shared_new(NULL, &err);
  char name[32], *a, *b;
  int found = 7, i;

  CHECK(s != NULL && s->arena_size >= (size_t)256 << 20, "mapped");
  a = tm_shared_region(s, "a", 100, &found);
  CHECK(a != NULL && found == 0 && (uintptr_t)a % 4096 == 0 && a[0] == 0 && a[99] == 0, "new, zeroed, on a page");
  memset(a, 1, 100);
  b = tm_shared_region(s, "b", (size_t)64 << 20, &found);
  CHECK(b != NULL && found == 0 && b >= a + 4096, "another");
  CHECK(tm_shared_region(s, "a", 100, &found) == a && found == 1 && a[0] == 1, "found again, as it was");
  CHECK(tm_shared_region(s, "a", 50, &found) == a && found == 1, "less of it");
  CHECK(tm_shared_region(s, "a", 101, &found) == NULL && found == 0, "more than there is");
  CHECK(tm_shared_region(s, "c", s->arena_size, &found) == NULL, "too much");
  CHECK(tm_shared_region(s, "c", SIZE_MAX, &found) == NULL && tm_shared_region(s, "c", SIZE_MAX - 8192, &found) == NULL,
        "far too much");
  CHECK(tm_shared_holds(s, a, 100) && tm_shared_holds(s, s->arena, s->arena_size), "inside");
  CHECK(!tm_shared_holds(s, s, 1) && !tm_shared_holds(s, NULL, 0) && !tm_shared_holds(s, a, SIZE_MAX) &&
        !tm_shared_holds(s, s->arena + s->arena_size, 1) && !tm_shared_holds(s, (void *)UINTPTR_MAX, 8), "outside");
  for (i = 0; i < 1 << 20; i++) {
    snprintf(name, sizeof name, "r%d", i);
    if (tm_shared_region(s, name, 1, &found) == NULL) break;
  }
  CHECK(i >= 510 && i < 1 << 20, "room for %d names", i);
  CHECK(tm_shared_region(s, "a", 100, &found) == a && found == 1 && a[0] == 1, "the first when all names are used");
}

static struct tm_shared *example(void) {
  static struct tm_shared s;

  memset(&s, 0, sizeof s);
  s.counters.events_in = 1234567;
  s.counters.bytes_in = 281481276;   /* 268.4 MiB */
  s.counters.rows_out = 1000;
  s.counters.bytes_out = 1536;
  s.counters.events_dropped = 999;
  s.counters.source_pauses = 3;
  s.counters.traces = 50;
  tm_hist_record(&s.latency, 10, 98);
  tm_hist_record(&s.latency, 1000000, 2);  /* its bucket is [983040, 1015808), clipped at the largest */
  snprintf(s.flows[0].name, sizeof s.flows[0].name, "alerts -> alerts.ndjson");
  s.flows[0].rows = 1000;
  s.flows_n = 1;
  s.states_n = 2;
  snprintf(s.states[0].name, sizeof s.states[0].name, "alerts/velocity");
  s.states[0].keys = 100000;
  s.states[0].bytes = 12582912;
  snprintf(s.states[1].name, sizeof s.states[1].name, "alerts/first seen merchants of a card, by country");
  s.rules_n = 2;
  s.rules_more = 3;
  s.rules[0] = (struct tm_rule_done){"cards/never", "alert", 0, 0, 0, 7, 12.25, "rules/never.lua:3: it never matched", 0};
  s.rules[1] = (struct tm_rule_done){"cards/burst", "enforce", 1200, 1000, 1, 3, 41.5, "", 17};
  s.watermarks_n = 2;
  snprintf(s.watermarks[0].pipeline, sizeof s.watermarks[0].pipeline, "alerts");
  s.watermarks[0].w = 1767225599999.0;
  s.watermarks[0].silent_ms = 40000;
  snprintf(s.watermarks[0].input, sizeof s.watermarks[0].input, "b.ndjson");
  snprintf(s.watermarks[1].pipeline, sizeof s.watermarks[1].pipeline, "clean");
  s.watermarks[1].w = -INFINITY;
  s.watermarks[1].silent_ms = -1;
  snprintf(s.failures[0].pipeline, sizeof s.failures[0].pipeline, "clean");
  snprintf(s.failures[0].step, sizeof s.failures[0].step, "map");
  snprintf(s.failures[0].code, sizeof s.failures[0].code, "user-error");
  snprintf(s.failures[0].first, sizeof s.failures[0].first,
           "clean.lua:3: attempt to compare number with nil, at tx.ndjson line 17: {\"a\":\"\033[31m\"}\nand a second line");
  s.failures[0].count = 4321;
  s.failures_n = 1;
  s.failures_other = 2;
  return &s;
}

static const char text_expected[] =
  "tidemill: done in 2.00 s, 617,283 events/s\n"
  "  events in                  1,234,567   268 MiB\n"
  "  rows out                       1,000   1.50 KiB\n"
  "  events dropped                   999\n"
  "  events failed                      0\n"
  "  events late                        0\n"
  "  source pauses                      3\n"
  "  source to sink       p50 10 ns   p99 999 us   p99.9 999 us\n"
  "  worker               1.23 s of processor time, 31.2 MiB resident at most\n"
  "rows by pipeline and sink\n"
  "  alerts -> alerts.ndjson                                                  1,000\n"
  "state by name\n"
  "  alerts/velocity                                   100,000 keys   12.0 MiB\n"
  "  alerts/first seen merchants of a card, by country\n"
  "                                                          0 keys   0 bytes\n"
  "rules by pack                    mode        matches   errors  unknown ns/event\n"
  "  cards/never                    alert             0        0        7       12\n"
  "      rules/never.lua:3: it never matched\n"
  "  cards/burst                    enforce        1200        1        3       42\n"
  "  and 3 more (--json tells 2)\n"
  "watermarks by pipeline\n"
  "  alerts               2025-12-31T23:59:59.999Z\n"
  "      waiting: b.ndjson silent for 40.0 s\n"
  "  clean                none yet\n"
  "failures by pipeline, step and cause\n"
  "  clean, map: user-error                                                   4,321\n"
  "      clean.lua:3: attempt to compare number with nil, at tx.ndjson line 17:\n"
  "      {\"a\":\"\\x1b[31m\"}\n"
  "      and a second line\n"
  "  others                                                                       2\n";

static const char json_expected[] =
  "{\"exit_code\":0,\"wall_s\":2.000000,\"cpu_s\":1.234,\"memory_peak_bytes\":32715571,\"events_per_s\":617284,"
  "\"counters\":{\"events_in\":1234567,\"bytes_in\":281481276,\"lines_blank\":0,\"lines_bad\":0,\"records_cut\":0,\"files_empty\":0,\"files_gone\":0,\"batches\":0,"
  "\"rows_out\":1000,\"bytes_out\":1536,\"events_dropped\":999,\"events_failed\":0,\"events_late\":0,\"timers_dropped\":0,\"matches_dropped\":0,\"lookups_missed\":0,\"lookups_mistyped\":0,\"rows_dead\":0,"
  "\"rows_discarded\":0,\"source_pauses\":3,\"worker_restarts\":0,\"reloads\":0,\"worker_kills_deadline\":0,\"epochs\":0,\"epoch_bytes\":0,\"quarantined\":0,"
  "\"user_prints_dropped\":0,\"traces\":50,\"loops_compiled\":0,\"batches_to_warm\":0,\"trace_aborts\":0,\"trace_flushes\":0},"
  "\"latency_ns\":{\"count\":100,\"mean\":20010,\"p50\":10,\"p99\":999424,\"p999\":999424,\"max\":1000000},\"epoch_work_ns\":null,\"epoch_cpu_ns\":null,"
  "\"rows\":[{\"flow\":\"alerts -> alerts.ndjson\",\"rows\":1000}],"
  "\"state\":[{\"name\":\"alerts/velocity\",\"keys\":100000,\"bytes\":12582912},"
  "{\"name\":\"alerts/first seen merchants of a card, by country\",\"keys\":0,\"bytes\":0}],"
  "\"rules\":[{\"name\":\"cards/never\",\"mode\":\"alert\",\"matches\":0,\"counted\":0,\"errors\":0,\"unknowns\":7,\"ns\":12.2,\"called\":0,"
  "\"note\":\"rules/never.lua:3: it never matched\"},"
  "{\"name\":\"cards/burst\",\"mode\":\"enforce\",\"matches\":1200,\"counted\":1000,\"errors\":1,\"unknowns\":3,\"ns\":41.5,\"called\":17,"
  "\"note\":\"\"}],\"rules_more\":3,"
  "\"watermarks\":[{\"pipeline\":\"alerts\",\"watermark_ms\":1767225599999,\"waiting_for\":\"b.ndjson\",\"silent_ms\":40000},{\"pipeline\":\"clean\",\"watermark_ms\":null}],"
  "\"failures\":[{\"pipeline\":\"clean\",\"step\":\"map\",\"code\":\"user-error\",\"count\":4321,\"first\":\"clean.lua:3: "
  "attempt to compare number with nil, at tx.ndjson line 17: {\\\"a\\\":\\\"\\u001b[31m\\\"}\\nand a second line\"}],"
  "\"failures_other\":2}\n";

static void texts(void) {
  struct tm_summary sum = { .shared = example(), .wall_ns = 2000000000, .cpu_ms = 1234, .memory_peak = 32715571 };
  struct tm_buf out;

  tm_buf_init(&out, 1 << 16);
  CHECK(tm_summary_text(&sum, &out) == 0 && tm_buf_put(&out, "", 1) == 0, "fits");
  CHECK(strcmp(out.data, text_expected) == 0, "\n%s", out.data);
  out.len = 0;
  CHECK(tm_summary_json(&sum, &out) == 0 && tm_buf_put(&out, "", 1) == 0, "fits");
  CHECK(strcmp(out.data, json_expected) == 0, "\n%s", out.data);
  tm_buf_fini(&out);
  tm_buf_init(&out, 100);
  CHECK(tm_summary_text(&sum, &out) == -1, "no room");
  tm_buf_fini(&out);
}

/* Whatever a dying worker left: nothing is read beyond an array, no line is wider than 80. */
static void garbage(void) {
  struct tm_shared *s = example();
  struct tm_summary sum = { .shared = s, .exit_code = 1 };
  struct tm_buf out;
  int i, width = 0, widest = 0;

  memset(s->failures, 'x', sizeof s->failures);
  memset(s->flows, 0xff, sizeof s->flows);
  s->failures_n = INT32_MAX;
  s->flows_n = 3;
  for (i = 0; i < TM_SHARED_FAILURES; i++) s->failures[i].count = 1;
  for (i = 0; i < 3; i++) s->flows[i].rows = 1;
  tm_buf_init(&out, 1 << 22);
  CHECK(tm_summary_text(&sum, &out) == 0, "fits");
  for (i = 0; i < out.len; i++) {
    width = out.data[i] == '\n' ? 0 : width + 1;
    if (width > widest) widest = width;
  }
  CHECK(widest <= 80 && memchr(out.data, 0, (size_t)out.len) == NULL, "widest line %d", widest);
  out.len = 0;
  s->flows_n = INT32_MAX;
  memset(s->failures, 1, sizeof s->failures);  /* every byte becomes six */
  CHECK(tm_summary_json(&sum, &out) == 0 && tm_summary_text(&sum, &out) == 0, "still fits");
  tm_buf_fini(&out);
}

int main(void) {
  regions();
  texts();
  garbage();
  return unit_end("summary");
}
