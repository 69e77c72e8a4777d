/* fork.c - what a worker does before it forks, and what its child needs (fork.h). */
#include "fork.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker_own.h"

static void save_piece(struct tm_keeper *k, const void *at, size_t n) {
  struct tm_savings *s = (struct tm_savings *)(void *)k;
  if (s->n == s->cap) {
    int32_t cap = 2 * s->cap + 64;
    struct tm_saved *more = realloc(s->list, (size_t)cap * sizeof *more);
    if (more == NULL) {
      s->failed = 1;
      return;
    }
    s->list = more;
    s->cap = cap;
  }
  struct tm_saved *to = &s->list[s->n];
  *to = (struct tm_saved){at, n, malloc(n)};
  if (to->copy != NULL) memcpy(to->copy, at, n);
  s->failed |= to->copy == NULL;
  s->n += to->copy != NULL;
}

void tm_savings_take(struct tm_savings *s, struct tm_worker *w) {
  *s = (struct tm_savings){.keeper = {save_piece}};
  tm_flow_keep(&w->flows, &s->keeper);
  tm_shared_keep(w->shared, &s->keeper);
  tm_keep(&s->keeper, &w->shared->plan, sizeof w->shared->plan);
  for (int32_t i = 0; i < w->flows.sources_n; i++) tm_keep(&s->keeper, w->flows.sources[i]->batch, sizeof *w->flows.sources[i]->batch);
}

/* back: as it was when it was saved */
void tm_savings_end(struct tm_savings *s, int back) {
  for (int32_t i = 0; i < s->n; i++) {
    if (back) memcpy((void *)(uintptr_t)s->list[i].at, s->list[i].copy, s->list[i].n);
    free(s->list[i].copy);
  }
  free(s->list);
}

/* Everything else was opened for the scripts that go. */
void tm_fork_close_others(const int *kept, int n) {
  DIR *dir = opendir("/proc/self/fd");
  struct dirent *e;
  if (dir == NULL) return;
  while ((e = readdir(dir)) != NULL) {
    char *end;
    long fd = strtol(e->d_name, &end, 10);
    int keep = end == e->d_name || *end != '\0' || fd <= STDERR_FILENO || fd == dirfd(dir);
    for (int i = 0; i < n; i++) keep |= fd == kept[i];
    if (!keep) close((int)fd);
  }
  closedir(dir);
}

int tm_fork_sinks_rest(struct tm_flows *f, struct tm_err *err) {
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (tm_sink_rest(&f->outlets[i]->sink, err) != 0) return -1;
  return 0;
}

int tm_fork_sinks_wake(struct tm_flows *f, struct tm_err *err) {
  for (int32_t i = 0; i < f->outlets_n; i++)
    if (tm_sink_wake(&f->outlets[i]->sink, err) != 0) return -1;
  return 0;
}
