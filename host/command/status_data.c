/* status_data.c - `tidemill status DIR`: how the run of a data folder stands, from its files, whether something runs or not. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../base/buf.h"
#include "../abi_c.h"
#include "../engine/kept.h"
#include "../eventlog/folder.h"
#include "../eventlog/reader.h"
#include "commands.h"

enum { USAGE = 2 };

static void put_text(const char *text, int json) {
  struct tm_buf b;
  char clean[4 * 512 + 1];

  if (!json) {
    size_t n = strnlen(text, 512);

    n = tm_log_clean(clean, text, n);
    fwrite(clean, 1, n, stdout);
    return;
  }
  tm_buf_init(&b, 1 << 20);
  if (tm_ffi_json_lossy(&b, text, (int32_t)strlen(text)) == 0) fwrite(b.data, 1, (size_t)b.len, stdout);
  tm_buf_fini(&b);
}

static const char *ending(const struct tm_kept *k) {
  if (k->ended) return "it came to the end of its input";
  if (k->dir.in_use_by != 0) return "it runs";
  return k->shared->stopped ? "it was stopped in order" : "it was ended by force, and goes on from there";
}

static void print_head(const struct tm_kept *k, int json) {
  if (json) {
    printf("{\"data\":");
    put_text(k->dir.path, 1);
    printf(",\"epoch\":%" PRIu64 ",\"version\":\"%s\",\"in_use_by\":%d,\"ended\":%s,\"stopped\":%s,\"closed\":%s,\"journal\":{\"segments\":%" PRId64
           ",\"bytes\":%" PRId64 "},\"snapshots\":[", k->epoch, k->version, k->dir.in_use_by, k->ended ? "true" : "false",
           k->shared->stopped ? "true" : "false", k->closed ? "true" : "false", k->journal_segments, k->journal_bytes);
    for (int i = 0; i < k->snapshots.n; i++)
      printf("%s{\"epoch\":%" PRIu64 ",\"bytes\":%" PRId64 "}", i > 0 ? "," : "", k->snapshots.kept[i].epoch, k->snapshots.kept[i].size);
    printf("]");
    return;
  }
  put_text(k->dir.path, 0);
  if (k->epoch == 0) printf(": nothing is kept there yet\n");
  else printf(": epoch %" PRIu64 ", written by tidemill %s; %s\n", k->epoch, k->version, ending(k));
  if (k->dir.in_use_by != 0) printf("  in use by process %d: it may be further by now\n", k->dir.in_use_by);
  printf("  journal    %" PRId64 " segment%s, %" PRId64 " bytes of epochs, %s\n", k->journal_segments, k->journal_segments == 1 ? "" : "s",
         k->journal_bytes, k->closed ? "closed in order" : "not closed");
  for (int i = 0; i < k->snapshots.n; i++) printf("  snapshot   of epoch %" PRIu64 ", %" PRId64 " bytes\n", k->snapshots.kept[i].epoch, k->snapshots.kept[i].size);
  if (k->snapshots.n == 0) printf("  snapshot   none yet\n");
}

/* The logs of the folder; what cannot be read of one is told. */
static void print_logs(const struct tm_kept *k, int json) {
  char path[TM_EVENTLOG_PATH];
  const struct dirent *e;
  int n = 0;

  snprintf(path, sizeof path, "%.3900s/logs", k->dir.path);
  DIR *d = opendir(path);
  if (json) printf(",\"logs\":[");
  while (d != NULL && (e = readdir(d)) != NULL) {
    struct tm_eventlog_extent x;
    struct tm_err err;

    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%.3900s/logs/%.100s", k->dir.path, e->d_name);
    if (tm_eventlog_extent_read(&tm_io_real, path, &x, &err) < 0) {
      tm_log_error("%s", err.detail);
      continue;
    }
    printf(json ? "%s{\"name\":" : "%s  log        ", json && n++ > 0 ? "," : "");
    put_text(e->d_name, json);
    if (json) printf(",\"first\":%" PRIu64 ",\"records\":%" PRIu64 ",\"bytes\":%" PRId64 "}", x.first, x.end - x.first, x.bytes);
    else printf(": %" PRIu64 " records in %d segments, %" PRId64 " bytes\n", x.end - x.first, x.segments, x.bytes);
  }
  if (d != NULL) closedir(d);
  if (json) printf("]");
}

static void print_places(const struct tm_kept *k, const char *kind, int json) {
  struct tm_kept_place p;
  int n = 0;

  if (json) printf(",\"%ss\":[", kind);
  for (int32_t at = 0; tm_kept_next(k, &at, &p);) {
    if (strcmp(p.kind, kind) != 0) continue;
    if (json) printf("%s{\"name\":", n > 0 ? "," : "");
    else printf("%s  ", n == 0 ? (p.how != NULL ? "sinks\n" : "sources\n") : "");
    n++;
    put_text(p.name, json);
    if (json && p.how != NULL) printf(",\"kind\":\"%s\",\"guarantee\":\"%s\"}", p.how, p.guarantee);
    else if (json) printf(",\"events\":%.0f,\"bytes\":%.0f}", p.events, p.bytes);
    else if (p.how != NULL) printf(" (%s): %s\n", p.how, p.guarantee);
    else printf(": %.0f events, %.0f bytes read\n", p.events, p.bytes);
  }
  if (json) printf("]");
}

static void print_counters(const struct tm_kept *k, int json) {
  const struct tm_counters *c = &k->shared->counters;

  printf(json ? ",\"counters\":{" : "counters\n");
  for (int i = 0; i < TM_COUNTERS_N; i++) {
    const struct tm_counter_info *info = &tm_counters_list[i];
    uint64_t v = tm_counters_get(c, i);

    if (json) printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", info->name, v);
    else if (info->shown == TM_COUNTER_SHOWN_ALWAYS || v > 0 || i == TM_COUNTER_INDEX_quarantined) printf("  %-24s %15" PRIu64 " %s\n", info->name, v, info->unit);
  }
  if (json) printf("}");
}

static void print_failures(const struct tm_kept *k, int json) {
  const struct tm_shared *s = k->shared;
  int n = s->failures_n < 0 ? 0 : s->failures_n > TM_SHARED_FAILURES ? TM_SHARED_FAILURES : s->failures_n;

  if (json) printf(",\"failures\":[");
  else if (n > 0) printf("failed events\n");
  for (int i = 0; i < n; i++) {
    const struct tm_failure *f = &s->failures[i];

    if (json) printf("%s{\"pipeline\":", i > 0 ? "," : "");
    else printf("  ");
    put_text(f->pipeline, json);
    printf(json ? ",\"step\":" : ", ");
    put_text(f->step, json);
    printf(json ? ",\"code\":" : ", ");
    put_text(f->code, json);
    printf(json ? ",\"count\":%" PRIu64 "}" : ": %" PRIu64 "\n", f->count);
  }
  if (json) printf("]}\n");
}

int tm_status_data(const char *dir, int json) {
  struct tm_kept k = { .epoch = 0 };
  struct tm_err err;

  if (tm_kept_load(&k, dir, &err) != 0) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  print_head(&k, json);
  print_logs(&k, json);
  print_places(&k, "source", json);
  print_places(&k, "sink", json);
  print_counters(&k, json);
  print_failures(&k, json);
  tm_kept_close(&k);
  return tm_help_flush();
}
