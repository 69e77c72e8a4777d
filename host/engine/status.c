/* status.c - how a run stands, as JSON (status.h). Lists of the shared block are read as those of summary.c are: a worker that died may
 * have left half of an entry, so texts end with their array. */
#include "status.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/err.h"
#include "../base/log.h"
#include "shadow.h"
#include "summary.h"

static void put(struct tm_buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct tm_buf *out, const char *fmt, ...) {
  char text[256];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  TM_ASSERT(n >= 0 && n < (int)sizeof text);
  if (tm_buf_put(out, text, n) != 0) out->cap_max = -1;
}

static void put_text(struct tm_buf *out, const char *text, size_t size) {
  if (tm_ffi_json_lossy(out, text, (int32_t)strnlen(text, size)) != 0) out->cap_max = -1;
}

static int bounded(int32_t n, int most) { return n < 0 ? 0 : n > most ? most : n; }

/* Resident bytes of a process; 0: not known. */
static long long resident(int pid) {
  char path[64];
  long long pages = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", pid);
  FILE *f = pid > 0 ? fopen(path, "re") : NULL;
  if (f == NULL) return 0;
  if (fscanf(f, "%*d %lld", &pages) != 1) pages = 0;
  fclose(f);
  return pages * sysconf(_SC_PAGESIZE);
}

static void put_scripts(const struct tm_options *o, struct tm_buf *out) {
  char whole[PATH_MAX];
  put(out, "\"scripts\":[");
  for (int i = 0; i < o->scripts_n; i++) {
    const char *path = realpath(o->scripts[i], whole) != NULL ? whole : o->scripts[i];
    put(out, "%s", i > 0 ? "," : "");
    put_text(out, path, strlen(path));
  }
  put(out, "],\"data\":");
  if (o->data != NULL) put_text(out, o->data, strlen(o->data));
  else put(out, "null");
}

static void put_places(const struct tm_shared *s, struct tm_buf *out) {
  put(out, ",\"sources\":[");
  for (int i = 0; i < bounded(s->sources_n, TM_SHARED_SOURCES); i++) {
    const struct tm_source_place *p = &s->sources[i];
    put(out, "%s{\"name\":", i > 0 ? "," : "");
    put_text(out, p->name, sizeof p->name);
    put(out, ",\"kind\":");
    put_text(out, p->kind, sizeof p->kind);
    put(out, ",\"at\":");
    put_text(out, p->at, sizeof p->at);
    put(out, ",\"position\":");
    if (p->position >= 0) put(out, "%.0f", p->position);
    else put(out, "null");
    put(out, ",\"events\":%.0f,\"bytes\":%.0f,\"done\":%s,\"waits\":%s}", p->events, p->bytes, p->done ? "true" : "false",
        p->waits ? "true" : "false");
  }
  put(out, "],\"sinks\":[");
  for (int i = 0; i < bounded(s->sinks_n, TM_SHARED_SINKS); i++) {
    const struct tm_sink_place *p = &s->sinks[i];
    put(out, "%s{\"name\":", i > 0 ? "," : "");
    put_text(out, p->name, sizeof p->name);
    put(out, ",\"kind\":");
    put_text(out, p->kind, sizeof p->kind);
    put(out, ",\"guarantee\":");
    put_text(out, p->guarantee, sizeof p->guarantee);
    put(out, ",\"waiting_bytes\":%.0f,\"refused\":", p->bytes);
    put_text(out, p->why, sizeof p->why);
    put(out, "}");
  }
  put(out, "]");
}

/* A candidate beside the run; null: there was none. */
static void put_candidate(const struct tm_shadow *s, struct tm_buf *out) {
  put(out, ",\"candidate\":");
  if (s == NULL || s->phase == TM_SHADOW_NONE) {
    put(out, "null");
    return;
  }
  put(out, "{\"path\":");
  put_text(out, s->candidate.path, sizeof s->candidate.path);
  put(out, ",\"phase\":\"%s\",\"pid\":%d,\"why\":", tm_shadow_phase_name(s->phase), s->pid);
  put_text(out, (const char *)s->why, sizeof s->why);
  put(out, "}");
}

int tm_status_json(const struct tm_status *s, struct tm_buf *out) {
  static const char *const phases[] = {"loading", "running", "draining", "done"};
  const struct tm_shared *sh = s->shared;
  put(out, "{\"pid\":%d,\"worker\":%d,\"phase\":\"%s\",\"generation\":%d,\"reloading\":%s,\"told\":%s,\"deaths\":%d,\"wall_s\":%.3f,"
           "\"memory_bytes\":%lld,\"epoch\":%.0f,", (int)getpid(), s->worker, phases[bounded(sh->phase, 3)], sh->generation,
      s->reloading ? "true" : "false", s->told ? "true" : "false", s->deaths, (double)s->wall_ns / 1e9, resident(s->worker), sh->epoch);
  put_scripts(s->options, out);
  put_places(sh, out);
  put_candidate(sh->shadow, out);
  put(out, ",");
  tm_summary_json_parts(sh, out);
  put(out, "}\n");
  return out->cap_max < 0 ? -1 : 0;
}

static void put_clean(struct tm_buf *out, const char *text, size_t size) {
  char clean[4 * 320 + 1];
  size_t n = strnlen(text, size < 320 ? size : 320);
  n = tm_log_clean(clean, text, n);
  if (tm_buf_put(out, clean, (int32_t)n) != 0) out->cap_max = -1;
}

static void put_source_lines(const struct tm_shared *s, struct tm_buf *out) {
  for (int i = 0; i < bounded(s->sources_n, TM_SHARED_SOURCES); i++) {
    const struct tm_source_place *p = &s->sources[i];
    put(out, i == 0 ? "sources\n  " : "  ");
    put_clean(out, p->name, sizeof p->name);
    put(out, " (");
    put_clean(out, p->kind, sizeof p->kind);
    put(out, "): %.0f events", p->events);
    if (p->at[0] != '\0') put(out, ", ");
    put_clean(out, p->at, sizeof p->at);
    if (p->position >= 0) put(out, " at %.0f", p->position);
    put(out, "%s%s\n", p->done ? ", ended" : "", p->waits ? ", waits for a sink" : "");
  }
}

static void put_sink_lines(const struct tm_shared *s, struct tm_buf *out) {
  for (int i = 0; i < bounded(s->sinks_n, TM_SHARED_SINKS); i++) {
    const struct tm_sink_place *p = &s->sinks[i];
    put(out, i == 0 ? "sinks\n  " : "  ");
    put_clean(out, p->name, sizeof p->name);
    put(out, " (");
    put_clean(out, p->kind, sizeof p->kind);
    put(out, ")%s", p->guarantee[0] != '\0' ? ": " : "");
    put_clean(out, p->guarantee, sizeof p->guarantee);
    if (p->bytes > 0) put(out, ", %.0f bytes wait", p->bytes);
    if (p->why[0] != '\0') put(out, ", takes nothing: ");
    put_clean(out, p->why, sizeof p->why);
    put(out, "\n");
  }
}

static void put_candidate_lines(const struct tm_shadow *s, struct tm_buf *out) {
  if (s == NULL || s->phase == TM_SHADOW_NONE) return;
  put(out, "candidate\n  ");
  put_clean(out, s->candidate.path, sizeof s->candidate.path);
  put(out, ": %s", tm_shadow_phase_name(s->phase));
  if (s->phase == TM_SHADOW_ENDED) put(out, ", ");
  put_clean(out, (const char *)s->why, sizeof s->why);
  put(out, "\n");
}

int tm_status_text(const struct tm_status *s, struct tm_buf *out) {
  const struct tm_shared *sh = s->shared;
  put(out, "process %d, worker %d, generation %d%s, %.1f s", (int)getpid(), s->worker, sh->generation, s->reloading ? " (another is being loaded)" : "",
      (double)s->wall_ns / 1e9);
  if (s->options->data != NULL) put(out, ", epoch %.0f", sh->epoch);
  if (s->deaths > 0) put(out, ", %d death%s of workers", s->deaths, s->deaths > 1 ? "s" : "");
  put(out, "\n  resident memory       %15lld bytes\n", resident(s->worker));
  if (!s->told) put(out, "  the worker has not answered: what follows is as it told last\n");
  put_source_lines(sh, out);
  put_sink_lines(sh, out);
  put_candidate_lines(sh->shadow, out);
  tm_summary_text_parts(sh, out);
  return out->cap_max < 0 ? -1 : 0;
}
