/* rules_stats.c - what the rules of a running host did (rules_stats.h), from the shared block, where the worker puts it when it is asked. */
#include "rules_stats.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/err.h"
#include "../base/log.h"

static void put(struct tm_buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct tm_buf *out, const char *fmt, ...) {
  char text[1024];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  TM_ASSERT(n >= 0 && n < (int)sizeof text);
  if (tm_buf_put(out, text, n) != 0) out->cap_max = -1;
}

static void put_string(struct tm_buf *out, const char *text, size_t size) {
  if (tm_ffi_json_lossy(out, text, (int32_t)strnlen(text, size)) != 0) out->cap_max = -1;
}

static int rules_n(const struct tm_shared *s) { return s->rules_n < 0 ? 0 : s->rules_n > TM_SHARED_RULES ? TM_SHARED_RULES : s->rules_n; }

int tm_rules_json(const struct tm_status *s, struct tm_buf *out) {
  const struct tm_shared *sh = s->shared;
  put(out, "{\"ok\":true,\"told\":%s,\"generation\":%d,\"more\":%d,\"rules\":[", s->told ? "true" : "false", sh->generation, sh->rules_more);
  for (int i = 0; i < rules_n(sh); i++) {
    const struct tm_rule_done *r = &sh->rules[i];
    put(out, "%s{\"rule\":", i > 0 ? "," : "");
    put_string(out, r->name, sizeof r->name);
    put(out, ",\"mode\":");
    put_string(out, r->mode, sizeof r->mode);
    put(out, ",\"matches\":%.0f,\"counted\":%.0f,\"errors\":%.0f,\"unknowns\":%.0f,\"ns\":%.1f,\"note\":", r->matches, r->counted, r->errors, r->unknowns,
        r->ns);
    put_string(out, r->note, sizeof r->note);
    put(out, "}");
  }
  put(out, "]}\n");
  return out->cap_max < 0 ? -1 : 0;
}

/* A text of the block, which cannot steer a terminal. */
static const char *clean(char *to, const char *text, size_t size) {
  to[tm_log_clean(to, text, strnlen(text, size))] = '\0';
  return to;
}

int tm_rules_text(const struct tm_status *s, struct tm_buf *out) {
  const struct tm_shared *sh = s->shared;
  char name[4 * sizeof sh->rules[0].name + 1], note[4 * sizeof sh->rules[0].note + 1], mode[4 * sizeof sh->rules[0].mode + 1];
  int n = rules_n(sh);
  if (!s->told) put(out, "the worker is at a long event: these are numbers of before\n");
  if (n == 0) put(out, "the run has no pack\n");
  else put(out, "%-40s %-8s %12s %12s %8s %10s %8s\n", "rule", "mode", "matches", "counted", "errors", "unknown", "ns/event");
  for (int i = 0; i < n; i++) {
    const struct tm_rule_done *r = &sh->rules[i];
    put(out, "%-40s %-8s %12.0f %12.0f %8.0f %10.0f %8.1f\n", clean(name, r->name, sizeof r->name - 1), clean(mode, r->mode, sizeof r->mode - 1), r->matches,
        r->counted, r->errors, r->unknowns, r->ns);
    if (r->note[0] != '\0') put(out, "    %s\n", clean(note, r->note, sizeof r->note - 1));
  }
  if (sh->rules_more > 0) put(out, "and %d more\n", sh->rules_more);
  return out->cap_max < 0 ? -1 : 0;
}
