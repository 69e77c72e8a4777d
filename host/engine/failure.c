/* failure.c - counting failed events (failure.h). */
#include "failure.h"

#include <stdio.h>
#include <string.h>

static int is_of(const struct tm_failure *f, const char *pipeline, const char *step, const char *code) {
  return strncmp(f->pipeline, pipeline, sizeof f->pipeline - 1) == 0 && strncmp(f->step, step, sizeof f->step - 1) == 0 &&
         strncmp(f->code, code, sizeof f->code - 1) == 0;
}

/* Makes entry failures_n; it is there when that is raised. */
static void add(struct tm_shared *sh, const char *pipeline, const char *step, const char *code, const char *example) {
  struct tm_failure *f = &sh->failures[sh->failures_n];
  snprintf(f->pipeline, sizeof f->pipeline, "%s", pipeline);
  snprintf(f->step, sizeof f->step, "%s", step);
  snprintf(f->code, sizeof f->code, "%s", code);
  snprintf(f->first, sizeof f->first, "%s", example);
  f->count = 1;
  tm_undo_keep(&sh->undo, &sh->failures_n, sizeof sh->failures_n);
  sh->failures_n++;
}

void tm_failure_count(struct tm_shared *sh, const char *pipeline, const char *step, const char *code, const char *example) {
  struct tm_undo *u = &sh->undo;
  tm_undo_keep(u, &sh->counters.events_failed, sizeof sh->counters.events_failed);
  sh->counters.events_failed++;
  sh->strict_failed = 1;
  for (int32_t i = 0; i < sh->failures_n; i++) {
    struct tm_failure *f = &sh->failures[i];
    if (!is_of(f, pipeline, step, code)) continue;
    tm_undo_keep(u, &f->count, sizeof f->count);
    f->count++;
    return;
  }
  if (sh->failures_n < TM_SHARED_FAILURES) {
    add(sh, pipeline, step, code, example);
    return;
  }
  tm_undo_keep(u, &sh->failures_other, sizeof sh->failures_other);
  sh->failures_other++;
}
