/* reload.c - a child with new scripts takes the worker's place (reload.h). */
#include "reload.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../base/owned.h"
#include "../io/log_sink.h"
#include "epochs.h"
#include "feed.h"
#include "flow_plan.h"
#include "fork.h"
#include "script.h"
#include "shadow.h"
#include "texts.h"
#include "worker_own.h"

enum { YIELD_SECONDS = 10, LOAD_MS = 30000, TEXT_MAX = 128 << 20, KEPT_FDS = 16, FAILED = 1, REJECTED = 3, RETIRED_NS = 200000000 };

/* ---- the child ---- */

/* Rows that a sink holds itself are told apart from those that wait for it: nobody would write them when it is gone. */
struct holder { uint64_t key; char name[256]; };

static struct holder *holders(const struct tm_flows *f, int32_t *n) {
  struct holder *list = calloc((size_t)f->outlets_n + 1, sizeof *list);
  *n = 0;
  for (int32_t i = 0; list != NULL && i < f->outlets_n; i++) {
    const struct tm_sink *s = &f->outlets[i]->sink;
    if (tm_sink_held(s) == 0) continue;
    list[*n].key = s->key;
    snprintf(list[(*n)++].name, sizeof list->name, "%s", s->name);
  }
  return list;
}

static int check_holders(const struct tm_flows *f, const struct holder *list, int32_t n, struct tm_err *err) {
  for (int32_t i = 0; i < n; i++) {
    int here = 0;
    for (int32_t k = 0; k < f->outlets_n; k++) here |= f->outlets[k]->sink.key == list[i].key;
    if (!here)
      return tm_err_set(err, 6, "plan", "nothing writes the sink '%s' any more, but it holds rows of a file that is not complete; leave it in the scripts, "
                                        "or stop the run in order and start it with the new ones", list[i].name);
  }
  return 0;
}

/* All that the scripts before had goes, but for keyed state; the new ones are loaded and opened. */
static int begin_anew(struct tm_worker **worker, const struct tm_buf *text, int told_fd, struct tm_err *err) {
  struct tm_worker *w = *worker;
  struct tm_epochs *epochs = w->flows.epochs;
  struct tm_changes *changes = w->flows.changes;
  struct tm_budget *budget = w->flows.budget;
  int kept[KEPT_FDS] = {told_fd, w->shared->relay[0], w->shared->relay[1]};
  int n = 3 + (epochs != NULL ? tm_epochs_fds(epochs, kept + 3, KEPT_FDS - 3) : 0);
  int32_t holders_n;
  struct holder *held = holders(&w->flows, &holders_n);
  if (held == NULL) return tm_err_set(err, 1, "memory", "no memory to load the scripts anew");
  struct tm_script *retired = w->script;
  if (w->retired != NULL) tm_script_free(w->retired);
  tm_script_retire(retired);
  tm_worker_loop_end(w);
  tm_fork_close_others(kept, n);
  tm_flow_clear(&w->flows);
  tm_owned_end();
  tm_ffi_states_orphan(changes);
  w = *worker = tm_worker_set_up(w->options, w->shared);
  w->texts = w->shared->candidate;
  w->retired = retired;
  w->retired_ns = w->io->mono_ns(w->io) + RETIRED_NS;
  w->flows.epochs = epochs;
  w->flows.changes = changes;
  w->flows.budget = budget;
  w->flows.replanned = 1;
  int rc = tm_worker_load(w, 0, err);
  if (rc == 0) rc = check_holders(&w->flows, held, holders_n, err);
  if (rc == 0 && epochs != NULL) rc = tm_epochs_heir(epochs, &w->flows, w->script, err);
  if (rc == 0) rc = tm_worker_open(w, err);
  if (rc == 0) rc = tm_script_restore(w->script, text->data, (size_t)text->len, err);
  if (rc == 0 && epochs != NULL) rc = tm_epochs_wake(epochs, err);
  if (rc == 0 && epochs != NULL) tm_worker_hear(w);
  if (rc == 0) tm_script_begin(w->script, w->options);
  w->flows.replanned = 0;
  free(held);
  return rc;
}

/* From here on this is the worker; the one before ends, which may take a while where it has much memory. */
static void take_over(struct tm_worker *w, int told_fd, pid_t before, pid_t control) {
  w->shared->generation = w->texts != NULL ? w->texts->number : w->shared->generation + 1;
  w->shared->texts = w->texts;
  w->shared->heir = (int32_t)getpid();
  prctl(PR_SET_PDEATHSIG, 0);
  ssize_t n = write(told_fd, "y", 1);
  close(told_fd);
  if (n != 1) _exit(1);
  w->before = before;
  w->control = control;
}

void tm_reload_settle(struct tm_worker *w) {
  if (w->before != 0 && getppid() != w->before) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != w->control) _exit(1);
    w->before = 0;
  }
  if (w->retired != NULL && w->io->mono_ns(w->io) >= w->retired_ns) {
    tm_script_free(w->retired);
    w->retired = NULL;
  }
}

/* To control: how it ended; reload_why says more. */
static void tell(struct tm_worker *w, int code) {
  w->shared->reload_code = code;
  tm_undo_fence();
  w->shared->reload_told = w->reloads;
}

/* Returns when it has taken the worker's place; else it ends. The first epoch is cut before any event: what lies in front of it was the scripts'
 * before, and all behind it is these scripts'. 0, or -1 err. */
static int child(struct tm_worker *w, const struct tm_buf *text, int told_fd, pid_t before, pid_t control, struct tm_err *why) {
  struct tm_err err = {0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != before) _exit(1);
  if (begin_anew(&w, text, told_fd, &err) != 0) {
    tm_log_error("%s", err.detail);
    snprintf(w->shared->reload_why, sizeof w->shared->reload_why, "%s", err.detail);
    _exit(err.exit_code > 0 ? err.exit_code : REJECTED);
  }
  take_over(w, told_fd, before, control);
  tm_feed_end(&w->flows);
  if (w->shared->shadow != NULL) tm_shadow_ended(w->shared->shadow, "the run's scripts were loaded anew");
  tm_worker_name_pipelines(w);
  w->shared->counters.reloads++;
  tell(w, 0);
  tm_log_info("the scripts were loaded anew");
  return w->flows.epochs != NULL ? tm_epochs_cut(w->flows.epochs, 0, why) : 0;
}

/* ---- the worker ---- */

/* 0: the child has taken over; else the exit code that says why not. */
static int wait_for_child(struct tm_worker *w, pid_t pid, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  char said = 0;
  int rc, status = 0;
  do rc = poll(&p, 1, LOAD_MS);
  while (rc < 0 && errno == EINTR);
  if (rc > 0 && read(fd, &said, 1) == 1) return 0;
  if (rc == 0) {
    kill(pid, SIGKILL);
    snprintf(w->shared->reload_why, sizeof w->shared->reload_why, "the scripts were not loaded anew within %d s", LOAD_MS / 1000);
    tm_log_error("%s", w->shared->reload_why);
  }
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  w->shared->heir = 0;  /* it may have died just behind saying so there */
  if (rc == 0) return FAILED;
  if (WIFEXITED(status)) return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : FAILED;
  snprintf(w->shared->reload_why, sizeof w->shared->reload_why, "the process that loaded the scripts ended by signal %d (%s)", WTERMSIG(status),
           strsignal(WTERMSIG(status)));
  tm_log_error("%s", w->shared->reload_why);
  return FAILED;
}

static void refused(struct tm_worker *w, const char *why) {
  snprintf(w->shared->reload_why, sizeof w->shared->reload_why, "the scripts cannot be loaded anew: %s", why);
  tm_log_error("%s", w->shared->reload_why);
}

static int hand_over(struct tm_worker *w, struct tm_err *err) {
  struct tm_savings savings;
  struct tm_buf text;
  struct tm_epochs *e = w->flows.epochs;
  pid_t before = getpid(), control = getppid(), pid = -1;
  int fds[2] = {-1, -1};
  tm_buf_init(&text, TEXT_MAX);
  int rc = tm_script_save(w->script, &text, err);
  tm_savings_take(&savings, w);
  if (rc == 0) rc = tm_fork_sinks_rest(&w->flows, err);
  int rests = rc == 0 && e != NULL;
  if (rests) tm_epochs_rest(e);
  if (rc == 0 && !savings.failed && pipe(fds) == 0) {
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
      close(fds[0]);
      tm_savings_end(&savings, 0);
      int taken = child(w, &text, fds[1], before, control, err);
      tm_buf_fini(&text);
      return taken == 0 ? 1 : -1;
    }
    close(fds[1]);
  }
  int code = FAILED, generation = w->shared->generation;
  if (pid > 0 && (code = wait_for_child(w, pid, fds[0])) == 0) {
    tm_shadow_leave(w);
    _exit(0);
  }
  w->shared->generation = generation;
  w->shared->texts = w->texts;
  if (fds[0] >= 0) close(fds[0]);
  if (pid < 0) refused(w, rc != 0 ? err->detail : savings.failed ? "no memory" : strerror(errno));
  tm_savings_end(&savings, pid > 0 && !savings.failed);
  tm_buf_fini(&text);
  tell(w, code);
  if (rests && tm_epochs_wake(e, err) != 0) return -1;
  return tm_fork_sinks_wake(&w->flows, err);
}

/* Rows wait for a sink. */
static const char *waits_for(const struct tm_flows *f) {
  for (int32_t i = 0; i < f->outlets_n; i++) {
    const struct tm_outlet *o = f->outlets[i];
    if (o->out != NULL && (o->out->buf.len > o->sink.state->sent || tm_flow_unmerged(o))) return o->sink.name;
  }
  return NULL;
}

static int given_up(struct tm_worker *w, const char *why) {
  w->yielding = w->holding = 0;
  w->yield_until_ns = 0;
  if (tm_shadow_is_asked(w)) tm_shadow_refuse(w, why);
  if (w->shared->reload == w->reloads) return 0;
  w->reloads = w->shared->reload;
  refused(w, why);
  tell(w, FAILED);
  return 0;
}

int tm_reload(struct tm_worker *w, struct tm_err *err) {
  const struct timespec moment = {0, 1000 * 1000};
  char why[320];
  if ((w->shared->reload == w->reloads && !tm_shadow_is_asked(w)) || w->ended) return 0;
  if (w->ending) return given_up(w, "the run is about to end");
  uint64_t now = w->io->mono_ns(w->io);
  if (w->yield_until_ns == 0) w->yield_until_ns = now + YIELD_SECONDS * UINT64_C(1000000000);
  if (now > w->yield_until_ns) {
    const char *sink = waits_for(&w->flows);
    snprintf(why, sizeof why, "%s%s for %d s", sink != NULL ? sink : "a step", sink != NULL ? " takes no rows" : " is not done", YIELD_SECONDS);
    return given_up(w, why);
  }
  /* events go on until the epoch under way is durable; no other one is cut meanwhile, but for a sink that waits for it */
  int settled = w->flows.epochs == NULL || tm_epochs_settled(w->flows.epochs);
  w->yielding |= settled;
  w->holding = !w->yielding || !tm_flow_uncommitted(&w->flows);
  if (!w->yielding || tm_worker_any_at_hand(w)) return 0;
  if (w->flows.epochs != NULL) {
    int more = tm_epochs_step(w->flows.epochs, err);
    if (more != 0) return more;
  }
  if (!tm_script_rests(w->script)) {
    w->yielding = 0;  /* for this turn: what is under way needs further batches */
    return 0;
  }
  if (tm_flow_flush(&w->flows, -1, 1, err) != 0) return -1;
  settled = w->flows.epochs == NULL || tm_epochs_settled(w->flows.epochs);
  if (!settled || waits_for(&w->flows) != NULL || tm_flow_uncommitted(&w->flows)) {
    nanosleep(&moment, NULL);
    return 1;
  }
  w->yielding = w->holding = 0;
  w->yield_until_ns = 0;
  if (w->shared->reload == w->reloads) return tm_shadow_fork(w, err) < 0 ? -1 : 1;
  w->reloads = w->shared->reload;
  return hand_over(w, err) < 0 ? -1 : 1;
}
