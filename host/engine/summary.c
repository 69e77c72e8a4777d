/* summary.c - the end summary: counters, latency, rows by sink, failures with their first example.
 *
 * For people:                                              for programs, one line:
 *   tidemill: 1,000 events in 0.51 s ...                     {"exit_code":0,"wall_s":0.51,...,
 *     events in            1,000   224 KiB                    "counters":{...},"latency_ns":{...},
 *     ...                                                     "rows":[...],"state":[...],"watermarks":[...],
 *                                                           "failures":[...]}
 *   rows by pipeline and sink
 *   state by name
 *   watermarks by pipeline
 *   failures by pipeline, step and cause
 *
 * Which counters appear, and under what name, is counters.def's to say. JSON member names are a contract:
 * counters as in the table, durations with their unit last. */
#include "summary.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../base/err.h"
#include "../base/log.h"

enum { WIDTH = 80, LABEL = 20, VALUE = 15, TEXT_MAX = 1 << 22 };

static void put(struct tm_buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends; a buffer with no room left gets cap_max -1, so that one look at the end finds it. */
static void put(struct tm_buf *out, const char *fmt, ...) {
  char text[512];
  va_list ap;
  int n;

  va_start(ap, fmt);
  n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  TM_ASSERT(n >= 0 && n < (int)sizeof text);
  if (tm_buf_put(out, text, n) != 0) out->cap_max = -1;
}

/* ---- numbers for people ---------------------------------------------------- */

/* 1234567 as 1,234,567; out has 32 bytes. */
static const char *count_text(uint64_t v, char *out) {
  char digits[24];
  int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)v), i, k = 0;

  for (i = 0; i < n; i++) {
    if (i > 0 && (n - i) % 3 == 0) out[k++] = ',';
    out[k++] = digits[i];
  }
  out[k] = '\0';
  return out;
}

/* Three figures and a unit; out has 32 bytes. */
static const char *scaled_text(double v, double step, const char *const *units, int units_n, char *out) {
  int u = 0;

  while (u < units_n - 1 && v >= step * 0.9995) {
    v /= step;
    u++;
  }
  snprintf(out, 32, "%.*f %s", u == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, units[u]);
  return out;
}

static const char *bytes_text(uint64_t v, char *out) {
  static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };

  return scaled_text((double)v, 1024, units, 5, out);
}

static const char *time_text(uint64_t ns, char *out) {
  static const char *const units[] = { "ns", "us", "ms", "s" };

  return scaled_text((double)ns, 1000, units, 4, out);
}

static double rate(const struct tm_summary *sum) {
  return sum->wall_ns == 0 ? 0 : (double)sum->shared->counters.events_in * 1e9 / (double)sum->wall_ns;
}

/* ---- for people ------------------------------------------------------------ */

/* Text of an array that may lack its terminator, fit for a terminal; out has 4 * size + 1 bytes. */
static const char *clean_text(const char *text, size_t size, char *out) {
  out[tm_log_clean(out, text, strnlen(text, size))] = '\0';
  return out;
}

/* Text in lines of at most WIDTH, each behind `indent` blanks; cut at blanks where there are some, never inside of a
 * UTF-8 character. */
static void put_wrapped(struct tm_buf *out, const char *text, int indent) {
  int room = WIDTH - indent;

  while (*text != '\0') {
    int n = (int)strcspn(text, "\n"), cut;

    if (n > room) {
      n = room;
      for (cut = n; cut > room / 2 && text[cut] != ' '; cut--) {}
      if (cut > room / 2) n = cut;
      while (n > 1 && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    put(out, "%*s%.*s\n", indent, "", n, text);
    text += n;
    if (*text == ' ' || *text == '\n') text++;
  }
}

/* A name and its count at the right edge, on a line of its own if the name needs the room. */
static void put_row(struct tm_buf *out, const char *name, uint64_t count) {
  enum { NAME = WIDTH - VALUE - 3 };
  char text[32];

  if (strlen(name) > NAME) {
    put_wrapped(out, name, 2);
    name = "";
  }
  put(out, "  %-*s %*s\n", NAME, name, VALUE, count_text(count, text));
}

static void put_counters(const struct tm_counters *c, struct tm_buf *out) {
  char count[32], extra[32], label[64];
  int i;

  for (i = 0; i < TM_COUNTERS_N; i++) {
    const struct tm_counter_info *info = &tm_counters_list[i];
    uint64_t v = tm_counters_get(c, i);
    char *p;

    if (info->shown == TM_COUNTER_SHOWN_JSON || (info->shown == TM_COUNTER_SHOWN_IF_ANY && v == 0)) continue;
    snprintf(label, sizeof label, "%s", info->name);
    for (p = label; (p = strchr(p, '_')) != NULL;) *p = ' ';
    extra[0] = '\0';
    if (i == TM_COUNTER_INDEX_events_in) bytes_text(c->bytes_in, extra);
    if (i == TM_COUNTER_INDEX_rows_out) bytes_text(c->bytes_out, extra);
    put(out, "  %-*s %*s%s%s\n", LABEL, label, VALUE, count_text(v, count), extra[0] != '\0' ? "   " : "", extra);
  }
}

static void put_times(const struct tm_summary *sum, struct tm_buf *out) {
  const struct tm_hist *h = &sum->shared->latency;
  char a[32], b[32], c[32];

  if (h->count > 0)
    put(out, "  %-*s p50 %s   p99 %s   p99.9 %s\n", LABEL, "source to sink", time_text(tm_hist_quantile(h, 0.5), a),
        time_text(tm_hist_quantile(h, 0.99), b), time_text(tm_hist_quantile(h, 0.999), c));
  put(out, "  %-*s %.2f s of processor time", LABEL, "worker", (double)sum->cpu_ms / 1000.0);
  if (sum->memory_peak > 0) put(out, ", %s resident at most", bytes_text(sum->memory_peak, a));
  put(out, "\n");
}

static void put_flows(const struct tm_shared *s, struct tm_buf *out) {
  char name[4 * sizeof s->flows[0].name + 1];
  int i, n = s->flows_n < 0 ? 0 : s->flows_n > TM_SHARED_NAMES ? TM_SHARED_NAMES : s->flows_n;

  if (n > 0) put(out, "rows by pipeline and sink\n");
  for (i = 0; i < n; i++)
    put_row(out, clean_text(s->flows[i].name, sizeof s->flows[i].name, name), s->flows[i].rows);
}

/* A point in time as ISO 8601, what is none as a number; out has 40 bytes. */
static const char *instant_text(double ms, char *out) {
  int dated = fabs(ms) < 2.5e14;
  time_t s = dated ? (time_t)floor(ms / 1000) : 0;
  struct tm civil;
  size_t n = dated && gmtime_r(&s, &civil) != NULL ? strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &civil) : 0;
  if (n > 0) snprintf(out + n, 40 - n, ".%03dZ", (int)(ms - (double)s * 1000));
  else snprintf(out, 40, "%s", ms < 0 && isinf(ms) ? "none yet" : "the end");
  return out;
}

static int states_n(const struct tm_shared *s) {
  return s->states_n < 0 ? 0 : s->states_n > TM_SHARED_STATES ? TM_SHARED_STATES : s->states_n;
}

static void put_states(const struct tm_shared *s, struct tm_buf *out) {
  enum { NAME = WIDTH - VALUE - 24 };
  char name[4 * sizeof s->states[0].name + 1], keys[32], bytes[32];

  if (states_n(s) > 0) put(out, "state by name\n");
  for (int i = 0; i < states_n(s); i++) {
    const struct tm_state_size *size = &s->states[i];
    clean_text(size->name, sizeof size->name, name);
    if (strlen(name) > NAME) put_wrapped(out, name, 2);
    put(out, "  %-*s %*s keys   %s\n", NAME, strlen(name) > NAME ? "" : name, VALUE, count_text((uint64_t)size->keys, keys),
        bytes_text((uint64_t)size->bytes, bytes));
  }
}

static int rules_n(const struct tm_shared *s) {
  return s->rules_n < 0 ? 0 : s->rules_n > TM_SHARED_RULES ? TM_SHARED_RULES : s->rules_n;
}

static void put_rules(const struct tm_shared *s, struct tm_buf *out) {
  enum { SHOWN = 40 };
  char name[4 * sizeof s->rules[0].name + 1], note[4 * sizeof s->rules[0].note + 1], mode[4 * sizeof s->rules[0].mode + 1];
  int n = rules_n(s), shown = n < SHOWN ? n : SHOWN;

  if (n > 0) put(out, "%-32s %-8s %10s %8s %8s %8s\n", "rules by pack", "mode", "matches", "errors", "unknown", "ns/event");
  for (int i = 0; i < shown; i++) {
    const struct tm_rule_done *r = &s->rules[i];
    put(out, "  %-30s %-8s %10.0f %8.0f %8.0f %8.0f\n", clean_text(r->name, sizeof r->name, name),
        clean_text(r->mode, sizeof r->mode, mode), r->matches, r->errors, r->unknowns, r->ns);
    if (r->note[0] != '\0') put_wrapped(out, clean_text(r->note, sizeof r->note, note), 6);
  }
  if (n + s->rules_more > shown) put(out, "  and %d more (--json tells %d)\n", n + s->rules_more - shown, n);
}

static int watermarks_n(const struct tm_shared *s) {
  return s->watermarks_n < 0 ? 0 : s->watermarks_n > TM_SHARED_WATERMARKS ? TM_SHARED_WATERMARKS : s->watermarks_n;
}

static void put_watermarks(const struct tm_shared *s, struct tm_buf *out) {
  char name[4 * sizeof s->watermarks[0].pipeline + 1], input[4 * sizeof s->watermarks[0].input + 1], line[sizeof input + 80], at[40], silent[32];

  if (watermarks_n(s) > 0) put(out, "watermarks by pipeline\n");
  for (int i = 0; i < watermarks_n(s); i++) {
    const struct tm_watermark *w = &s->watermarks[i];
    put(out, "  %-*s %s\n", LABEL, clean_text(w->pipeline, sizeof w->pipeline, name), instant_text(w->w, at));
    if (w->silent_ms < 0) continue;
    snprintf(line, sizeof line, "waiting: %s silent for %s", clean_text(w->input, sizeof w->input, input),
             time_text((uint64_t)(w->silent_ms * 1e6), silent));
    put_wrapped(out, line, 6);
  }
}

static void put_failures(const struct tm_shared *s, struct tm_buf *out) {
  char names[3][4 * sizeof s->failures[0].pipeline + 1], first[4 * sizeof s->failures[0].first + 1];
  char where[sizeof names + 8];
  int i, n = s->failures_n < 0 ? 0 : s->failures_n > TM_SHARED_FAILURES ? TM_SHARED_FAILURES : s->failures_n;

  if (n > 0 || s->failures_other > 0) put(out, "failures by pipeline, step and cause\n");
  for (i = 0; i < n; i++) {
    const struct tm_failure *f = &s->failures[i];

    clean_text(f->step, sizeof f->step, names[1]);
    snprintf(where, sizeof where, "%s%s%s: %s", clean_text(f->pipeline, sizeof f->pipeline, names[0]),
             names[1][0] != '\0' ? ", " : "", names[1], clean_text(f->code, sizeof f->code, names[2]));
    put_row(out, where, f->count);
    put_wrapped(out, clean_text(f->first, sizeof f->first, first), 6);
  }
  if (s->failures_other > 0) put_row(out, "others", s->failures_other);
}

static void put_lists(const struct tm_shared *s, struct tm_buf *out) {
  put_flows(s, out);
  put_states(s, out);
  put_rules(s, out);
  put_watermarks(s, out);
  put_failures(s, out);
}

void tm_summary_text_parts(const struct tm_shared *s, struct tm_buf *out) {
  put_counters(&s->counters, out);
  put_lists(s, out);
}

int tm_summary_text(const struct tm_summary *sum, struct tm_buf *out) {
  char a[32], b[32];

  put(out, "tidemill: %s in %s, %s events/s\n", sum->exit_code == 0 ? "done" : "ended", time_text(sum->wall_ns, a),
      count_text((uint64_t)rate(sum), b));
  put_counters(&sum->shared->counters, out);
  put_times(sum, out);
  put_lists(sum->shared, out);
  return out->cap_max < 0 ? -1 : 0;
}

/* ---- for programs ------------------------------------------------------------ */

static void put_json_name(struct tm_buf *out, const char *name, const char *text, size_t size) {
  put(out, "\"%s\":", name);
  if (tm_ffi_json_lossy(out, text, (int32_t)strnlen(text, size)) != 0) out->cap_max = -1;
}

static void put_json_counters(const struct tm_counters *c, struct tm_buf *out) {
  int i;

  put(out, "\"counters\":{");
  for (i = 0; i < TM_COUNTERS_N; i++)
    put(out, "%s\"%s\":%llu", i > 0 ? "," : "", tm_counters_list[i].name, (unsigned long long)tm_counters_get(c, i));
  put(out, "}");
}

static void put_json_times(const char *name, const struct tm_hist *h, struct tm_buf *out) {
  if (h->count == 0) {
    put(out, "\"%s\":null", name);
    return;
  }
  put(out, "\"%s\":{\"count\":%llu,\"mean\":%.0f,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}", name,
      (unsigned long long)h->count, tm_hist_mean(h), (unsigned long long)tm_hist_quantile(h, 0.5),
      (unsigned long long)tm_hist_quantile(h, 0.99), (unsigned long long)tm_hist_quantile(h, 0.999),
      (unsigned long long)h->max);
}

static void put_json_lists(const struct tm_shared *s, struct tm_buf *out) {
  int i, n = s->flows_n > TM_SHARED_NAMES ? TM_SHARED_NAMES : s->flows_n;

  put(out, "\"rows\":[");
  for (i = 0; i < n; i++) {
    put(out, "%s{", i > 0 ? "," : "");
    put_json_name(out, "flow", s->flows[i].name, sizeof s->flows[i].name);
    put(out, ",\"rows\":%llu}", (unsigned long long)s->flows[i].rows);
  }
  put(out, "],\"state\":[");
  for (i = 0; i < states_n(s); i++) {
    put(out, "%s{", i > 0 ? "," : "");
    put_json_name(out, "name", s->states[i].name, sizeof s->states[i].name);
    put(out, ",\"keys\":%.0f,\"bytes\":%.0f}", s->states[i].keys, s->states[i].bytes);
  }
  put(out, "],\"rules\":[");
  for (i = 0; i < rules_n(s); i++) {
    const struct tm_rule_done *r = &s->rules[i];
    put(out, "%s{", i > 0 ? "," : "");
    put_json_name(out, "name", r->name, sizeof r->name);
    put(out, ",");
    put_json_name(out, "mode", r->mode, sizeof r->mode);
    put(out, ",\"matches\":%.0f,\"counted\":%.0f,\"errors\":%.0f,\"unknowns\":%.0f,\"ns\":%.1f,\"called\":%.0f,", r->matches, r->counted,
        r->errors, r->unknowns, r->ns, r->called);
    put_json_name(out, "note", r->note, sizeof r->note);
    put(out, "}");
  }
  put(out, "],\"rules_more\":%d,\"watermarks\":[", s->rules_more);
  for (i = 0; i < watermarks_n(s); i++) {
    const struct tm_watermark *w = &s->watermarks[i];

    put(out, "%s{", i > 0 ? "," : "");
    put_json_name(out, "pipeline", w->pipeline, sizeof w->pipeline);
    put(out, ",\"watermark_ms\":");
    if (isfinite(w->w)) put(out, "%.0f", w->w);
    else put(out, "null");
    if (w->silent_ms >= 0) {
      put(out, ",");
      put_json_name(out, "waiting_for", w->input, sizeof w->input);
      put(out, ",\"silent_ms\":%.0f", w->silent_ms);
    }
    put(out, "}");
  }
  put(out, "],\"failures\":[");
  n = s->failures_n > TM_SHARED_FAILURES ? TM_SHARED_FAILURES : s->failures_n;
  for (i = 0; i < n; i++) {
    const struct tm_failure *f = &s->failures[i];

    put(out, "%s{", i > 0 ? "," : "");
    put_json_name(out, "pipeline", f->pipeline, sizeof f->pipeline);
    put(out, ",");
    put_json_name(out, "step", f->step, sizeof f->step);
    put(out, ",");
    put_json_name(out, "code", f->code, sizeof f->code);
    put(out, ",\"count\":%llu,", (unsigned long long)f->count);
    put_json_name(out, "first", f->first, sizeof f->first);
    put(out, "}");
  }
  put(out, "],\"failures_other\":%llu", (unsigned long long)s->failures_other);
}

void tm_summary_json_parts(const struct tm_shared *s, struct tm_buf *out) {
  put_json_counters(&s->counters, out);
  put(out, ",");
  put_json_times("latency_ns", &s->latency, out);
  put(out, ",");
  put_json_times("epoch_work_ns", &s->epoch_work, out);
  put(out, ",");
  put_json_times("epoch_cpu_ns", &s->epoch_cpu, out);
  put(out, ",");
  put_json_lists(s, out);
}

int tm_summary_json(const struct tm_summary *sum, struct tm_buf *out) {
  put(out, "{\"exit_code\":%d,\"wall_s\":%.6f,\"cpu_s\":%.3f,\"memory_peak_bytes\":%llu,\"events_per_s\":%.0f,",
      sum->exit_code, (double)sum->wall_ns / 1e9, (double)sum->cpu_ms / 1000.0, (unsigned long long)sum->memory_peak,
      rate(sum));
  tm_summary_json_parts(sum->shared, out);
  put(out, "}\n");
  return out->cap_max < 0 ? -1 : 0;
}

static void print(const struct tm_summary *sum, int (*make)(const struct tm_summary *, struct tm_buf *)) {
  struct tm_buf out;

  tm_buf_init(&out, TEXT_MAX);
  if (make(sum, &out) != 0) tm_log_warning("the summary is too long and was cut");
  tm_log_text(out.data, (size_t)out.len);
  tm_buf_fini(&out);
}

void tm_summary_print(const struct tm_summary *sum) {
  print(sum, tm_summary_text);
}

void tm_summary_print_failures(const struct tm_shared *s) {
  struct tm_buf out;

  tm_buf_init(&out, TEXT_MAX);
  put_failures(s, &out);
  tm_log_text(out.data, (size_t)out.len);
  tm_buf_fini(&out);
}

void tm_summary_print_json(const struct tm_summary *sum) {
  print(sum, tm_summary_json);
}
