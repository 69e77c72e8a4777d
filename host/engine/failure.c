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
  f->count = 0;
  tm_undo_keep(&sh->undo, &sh->failures_n, sizeof sh->failures_n);
  sh->failures_n++;
}

static int32_t find(const struct tm_shared *sh, const char *pipeline, const char *step, const char *code) {
  int32_t i = 0;
  while (i < sh->failures_n && !is_of(&sh->failures[i], pipeline, step, code)) i++;
  return i;
}

int32_t tm_failure_count(struct tm_shared *sh, const char *pipeline, const char *step, const char *code, const char *example) {
  int32_t i = find(sh, pipeline, step, code);
  if (i == sh->failures_n && i < TM_SHARED_FAILURES) add(sh, pipeline, step, code, example);
  tm_failure_again(sh, i);
  return i;
}

void tm_failure_again(struct tm_shared *sh, int32_t entry) {
  uint64_t *count = entry < TM_SHARED_FAILURES ? &sh->failures[entry].count : &sh->failures_other;
  tm_undo_keep(&sh->undo, &sh->counters.events_failed, sizeof sh->counters.events_failed);
  tm_undo_keep(&sh->undo, count, sizeof *count);
  sh->counters.events_failed++;
  sh->strict_failed = 1;
  ++*count;
}
