/* fork.h - a worker forks between two batches: its child takes its place (reload.h), or runs a candidate beside it (shadow.h).
 *
 * Keyed state lies in private memory, which the child has by copy on write at the same addresses. The shared block both would write; so
 * what of it matters then, when nothing is on its way, is copied first. No thread and no open database outlives a fork: sinks rest. */
#ifndef TM_ENGINE_FORK_H
#define TM_ENGINE_FORK_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/keep.h"

struct tm_worker;
struct tm_flows;

struct tm_saved {
  const void *at;
  size_t n;
  void *copy;
};

/* Copies of what lies in the shared block, as tm_flow_keep names it. */
struct tm_savings {
  struct tm_keeper keeper;  /* first, as pieces find the rest from it */
  struct tm_saved *list;
  int32_t n, cap;
  int failed;               /* there was no memory for all */
};

void tm_savings_take(struct tm_savings *s, struct tm_worker *w);
/* Frees them; back: the block is as it was when they were taken. */
void tm_savings_end(struct tm_savings *s, int back);

/* Closes all descriptors but the standard ones and these. */
void tm_fork_close_others(const int *kept, int n);

/* Another process is about to have what sinks have: 0, or -1 err. wake: this one goes on. */
int tm_fork_sinks_rest(struct tm_flows *f, struct tm_err *err);
int tm_fork_sinks_wake(struct tm_flows *f, struct tm_err *err);

#endif
