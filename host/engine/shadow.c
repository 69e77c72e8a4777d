/* shadow.c - a candidate begins and ends (shadow.h): asked for, forked, given a block of its own, loaded; the worker's side of it. */
#include "shadow.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "../base/owned.h"
#include "epochs.h"
#include "feed.h"
#include "fork.h"
#include "script.h"
#include "worker_own.h"

enum { TEXT_MAX = 128 << 20, PACKS_MAX = 16 << 20, NICE = 10 };

struct tm_shadow *tm_shadow_new(void) {
  struct tm_shadow *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (s == MAP_FAILED) return NULL;
  s->feed = tm_feed_new();
  if (s->feed != NULL) return s;
  munmap(s, sizeof *s);
  return NULL;
}

void tm_shadow_ended(struct tm_shadow *s, const char *why) {
  if (s->phase == TM_SHADOW_ENDED || s->phase == TM_SHADOW_NONE) return;
  snprintf(s->why, sizeof s->why, "%s", why);
  s->pid = 0;
  __atomic_store_n(&s->phase, TM_SHADOW_ENDED, __ATOMIC_RELEASE);
}

const char *tm_shadow_phase_name(int32_t phase) {
  static const char *const names[] = {"none", "asked", "loading", "running", "ended"};
  return phase >= 0 && phase <= TM_SHADOW_ENDED ? names[phase] : "?";
}

int32_t tm_shadow_told(const struct tm_shadow *s, char *text, char *json) {
  for (int i = 0; i < 1000; i++) {
    uint32_t edition = __atomic_load_n(&s->edition, __ATOMIC_ACQUIRE);
    int32_t n = text != NULL ? s->text_n : s->json_n;
    if (edition % 2 == 1) continue;
    if (n < 0 || n > (text != NULL ? TM_SHADOW_TEXT : TM_SHADOW_JSON)) continue;
    memcpy(text != NULL ? text : json, text != NULL ? s->text : s->json, (size_t)n);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&s->edition, __ATOMIC_RELAXED) == edition) return n;
  }
  return -1;
}

/* ---- what is loaded ---- */

static void take_place(struct tm_options *o, const struct tm_candidate *c) {
  if (c->is_pack) {
    if (o->instead_n < TM_OPT_INSTEAD_MAX) o->instead[o->instead_n++] = c->path;
    return;
  }
  o->scripts[0] = c->path;
  o->scripts_n = 1;
  o->code = NULL;
  o->instead_n = 0;
}

const struct tm_options *tm_shadow_options(const struct tm_options *o, const struct tm_shadow *s, int candidate) {
  static struct tm_options changed;
  if (s == NULL || (s->adopted_n == 0 && !candidate)) return o;
  changed = *o;
  for (int32_t i = 0; i < s->adopted_n; i++) take_place(&changed, &s->adopted[i]);
  if (!candidate) return &changed;
  take_place(&changed, &s->candidate);
  changed.shadow = 1;
  changed.amount = s->amount;
  changed.quiet = 1;
  changed.strict = 0;
  changed.out = s->out[0] != '\0' ? s->out : NULL;
  changed.memory = s->memory;
  return &changed;
}

/* ---- the candidate begins ---- */

struct input { uint64_t key; int32_t format; };

/* A block of its own at the same address, with what the run was when it was copied. */
static int own_block(struct tm_shared *s, const struct tm_flows *f, struct tm_savings *savings) {
  size_t size = (size_t)(s->arena - (char *)s) + s->arena_size;
  struct tm_shared *head = malloc(sizeof *head);
  if (head == NULL) return -1;
  memcpy(head, s, sizeof *head);
  void *p = mmap(s, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (p != MAP_FAILED) memcpy(s, head, sizeof *head);
  free(head);
  if (p == MAP_FAILED) return -1;
  tm_savings_end(savings, 1);
  for (int32_t i = 0; i < f->sources_n; i++) f->sources[i]->batch->rows = f->sources[i]->batch->bad = 0;  /* their text is not here */
  s->drain = s->failed = s->strict_failed = s->heir = 0;
  s->relay[0] = s->relay[1] = -1;
  s->input = NULL;
  s->plan = 0;
  memset(&s->flow, 0, sizeof s->flow);
  memset(&s->counters, 0, sizeof s->counters);
  s->failures_n = 0;
  s->flows_n = 0;
  return 0;
}

static int32_t inputs_of(const struct tm_flows *f, struct input *list) {
  int32_t n = 0;
  for (int32_t i = 0; i < f->sources_n; i++)
    if (f->sources[i]->kind != TM_SOURCE_LINK) list[n++] = (struct input){f->sources[i]->key, f->sources[i]->batch->format};
  return n;
}

/* Its sources are the run's, in the same format: nobody else feeds it. */
static int check_inputs(const struct tm_flows *f, const struct input *list, int32_t n, struct tm_err *err) {
  for (int32_t i = 0; i < f->sources_n; i++) {
    const struct tm_source *s = f->sources[i];
    int32_t k = 0;
    if (s->kind == TM_SOURCE_LINK) continue;
    while (k < n && list[k].key != s->key) k++;
    if (k == n)
      return tm_err_set(err, 3, "plan", "the candidate reads '%s', which the run does not: a candidate is fed with what the run reads", s->name);
    if (list[k].format != s->batch->format)
      return tm_err_set(err, 3, "plan", "the candidate reads '%s' in another format than the run", s->name);
  }
  return 0;
}

/* Everything the worker had goes, but for keyed state; the candidate is loaded. */
static int begin_anew(struct tm_worker **worker, struct tm_shadow *shadow, const struct tm_buf *text, const struct tm_buf *packs, struct tm_err *err) {
  static struct input inputs[TM_SOURCES_MAX];
  struct tm_worker *w = *worker;
  struct tm_changes *changes = w->flows.changes;
  struct tm_budget *budget = w->flows.budget;
  int32_t inputs_n = inputs_of(&w->flows, inputs);
  const struct tm_options *o = tm_shadow_options(w->options, shadow, 1);
  tm_script_retire(w->script);  /* its memory stays, and is the worker's too until that writes there */
  tm_worker_loop_end(w);
  tm_fork_close_others(NULL, 0);
  tm_flow_clear(&w->flows);
  tm_owned_end();
  tm_ffi_states_orphan(changes);
  w = *worker = tm_worker_set_up(o, w->shared);
  w->flows.changes = changes;
  w->flows.budget = budget;
  w->texts = NULL;  /* what lies on the disk is the candidate, also where the run has kept older files of these names */
  w->flows.replanned = 1;
  w->flows.is_fed = 1;
  budget->limit = (double)shadow->memory;
  if (budget->used >= 0.8 * budget->limit)
    return tm_err_set(err, 1, "memory", "the run holds %.1f MiB of keyed state, and the candidate may have %.1f MiB; give it more by --memory",
                      budget->used / 1048576.0, budget->limit / 1048576.0);
  int warnings = 0, problems, rc = tm_worker_load(w, 0, err);
  if (rc == 0 && (problems = tm_script_lint(w->script, &warnings, err)) != 0)
    rc = problems < 0 ? -1 : tm_err_set(err, 3, "lint", "the candidate has problems, which are told on the run's standard error; tidemill check shows them too");
  if (rc == 0) rc = check_inputs(&w->flows, inputs, inputs_n, err);
  if (rc == 0) rc = tm_flow_open(&w->flows, err);
  if (rc == 0) rc = tm_script_restore(w->script, text->data, (size_t)text->len, err);
  if (rc == 0) rc = tm_script_compare_begin(w->script, packs, err);
  if (rc == 0 && tm_feed_begin(NULL, &w->flows) != 0) rc = tm_err_set(err, 1, "memory", "no memory to compare decisions");
  if (rc == 0) tm_script_begin(w->script, w->options);
  return rc;
}

_Noreturn static void candidate(struct tm_worker *w, struct tm_savings *savings, const struct tm_buf *text, const struct tm_buf *packs, pid_t worker) {
  struct tm_shadow *s = w->shared->shadow;
  struct tm_err err = {0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != worker) _exit(1);
  if (setpriority(PRIO_PROCESS, 0, NICE) != 0) tm_log_warning("the candidate runs with the priority of the run: %s", strerror(errno));
  if (own_block(w->shared, &w->flows, savings) != 0) {
    tm_shadow_ended(s, "no memory for a block of its own");
    _exit(1);
  }
  if (begin_anew(&w, s, text, packs, &err) != 0) {
    s->code = err.exit_code;
    tm_shadow_ended(s, err.detail);
    _exit(1);
  }
  s->phase = TM_SHADOW_RUNNING;
  tm_shadow_ended(s, tm_shadow_run(w, s));
  _exit(0);
}

/* ---- the worker ---- */

int tm_shadow_is_asked(const struct tm_worker *w) {
  const struct tm_shadow *s = w->shared->shadow;
  return s != NULL && s->phase == TM_SHADOW_ASKED && s->asked != w->shadows;
}

void tm_shadow_refuse(struct tm_worker *w, const char *why) {
  struct tm_shadow *s = w->shared->shadow;
  w->shadows = s->asked;
  tm_shadow_ended(s, why);
}

/* The loop waits for children by itself, where it is at work. */
static void on_gone(struct ev_loop *loop, ev_child *c, int revents) {
  struct tm_worker *w = c->data;
  (void)revents;
  ev_child_stop(loop, c);
  w->shadow_gone = 1;
  w->shadow_status = c->rstatus;
  ev_break(loop, EVBREAK_ONE);
}

static void watch(struct tm_worker *w, pid_t pid) {
  w->shadow_pid = (int)pid;
  w->shadow_gone = 0;
  ev_child_init(&w->shadow, on_gone, (int)pid, 0);
  w->shadow.data = w;
  ev_child_start(w->loop, &w->shadow);
}

/* Ends the process, if there is one. */
static void end_process(struct tm_worker *w) {
  if (w->shadow_pid == 0) return;
  if (!w->shadow_gone) kill(w->shadow_pid, SIGKILL);
  while (!w->shadow_gone && waitpid(w->shadow_pid, NULL, 0) < 0 && errno == EINTR) {}
  ev_child_stop(w->loop, &w->shadow);
  w->shadow_pid = 0;
  tm_feed_end(&w->flows);
}

int tm_shadow_fork(struct tm_worker *w, struct tm_err *err) {
  struct tm_shadow *s = w->shared->shadow;
  struct tm_epochs *e = w->flows.epochs;
  struct tm_savings savings;
  struct tm_buf text, packs;
  struct tm_err why = {0};
  pid_t worker = getpid(), pid = -1;
  w->shadows = s->asked;
  end_process(w);  /* of one that has ended and was not waited for */
  tm_buf_init(&text, TEXT_MAX);
  tm_buf_init(&packs, PACKS_MAX);
  tm_feed_clear(s->feed);
  s->edition = 0;
  s->text_n = s->json_n = 0;
  int rc = tm_script_save(w->script, &text, &why);
  if (rc == 0) rc = tm_script_packs(w->script, &packs, &why);
  tm_savings_take(&savings, w);
  if (rc == 0 && savings.failed) rc = tm_err_set(&why, 1, "memory", "no memory for a copy of the run's places");
  if (rc == 0) rc = tm_fork_sinks_rest(&w->flows, &why);
  int rests = rc == 0 && e != NULL;
  if (rests) tm_epochs_rest(e);
  if (rc == 0) {
    s->phase = TM_SHADOW_LOADING;
    fflush(NULL);
    pid = fork();
    if (pid == 0) candidate(w, &savings, &text, &packs, worker);
    if (pid < 0) rc = tm_err_set(&why, 1, "fork", "no process: %s", strerror(errno));
  }
  if (pid > 0) s->pid = (int32_t)pid;
  if (pid > 0 && tm_feed_begin(s->feed, &w->flows) != 0) {
    kill(pid, SIGKILL);
    rc = tm_err_set(&why, 1, "memory", "no memory to note decisions");
  }
  if (rc != 0) tm_shadow_ended(s, why.detail);
  if (pid > 0) watch(w, pid);
  tm_savings_end(&savings, 0);
  tm_buf_fini(&text);
  tm_buf_fini(&packs);
  if (rests && tm_epochs_wake(e, err) != 0) return -1;
  return tm_fork_sinks_wake(&w->flows, err);
}

void tm_shadow_look(struct tm_worker *w) {
  struct tm_shadow *s = w->shared->shadow;
  char why[160];
  if (w->shadow_pid == 0) return;
  if (s->phase == TM_SHADOW_ENDED && tm_feed_is_on()) tm_feed_end(&w->flows);
  if (!w->shadow_gone) {
    pid_t got = waitpid(w->shadow_pid, &w->shadow_status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return;
    if (got < 0) w->shadow_status = 0;
  }
  int status = w->shadow_status, at_work = s->phase == TM_SHADOW_LOADING || s->phase == TM_SHADOW_RUNNING;
  ev_child_stop(w->loop, &w->shadow);
  w->shadow_pid = 0;
  tm_feed_end(&w->flows);
  if (s->phase == TM_SHADOW_ASKED) return;
  if (WIFSIGNALED(status)) snprintf(why, sizeof why, "its process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else snprintf(why, sizeof why, "its process ended");
  if (at_work) tm_shadow_ended(s, why);
  tm_log_info("the candidate %s has ended: %s", s->candidate.path, s->why);
}

void tm_shadow_leave(struct tm_worker *w) { end_process(w); }
