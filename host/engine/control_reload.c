/* control_reload.c - scripts that are loaded anew, as control sees it (reload.h has what the worker does).
 *
 *   asked (HUP, POST /reload) | trial: a process of its own loads, lints and tests them | worker: switches between two batches | told
 *                              \ refused: what it said on stderr is the reason           \ refused: the worker says why
 *
 * One at a time; what is asked meanwhile comes behind it, once for all who ask. What the trial says goes to stderr as it comes and is
 * kept, at most TEXT_KEPT bytes, for those who wait. The worker tells by the shared block, which is looked at while it is asked. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/log.h"
#include "control_own.h"
#include "worker.h"

enum { TEXT_KEPT = 64 << 10, FAILED = 1, REJECTED = 3 };
static const double LOOK_EVERY_S = 0.002;
static const char goes_on[] = "the scripts that were loaded before run on";

static void begin_trial(struct control *c, int back);

/* ---- how it ended ---- */

static void answer(struct control *c, int code, const char *error) {
  struct tm_buf json;
  char text[256];
  double ms = (double)(c->io->mono_ns(c->io) - c->reload.begun_ns) / 1e6;
  tm_buf_init(&json, 8 * TEXT_KEPT);
  int n = snprintf(text, sizeof text, "{\"ok\":%s,\"exit_code\":%d,\"generation\":%d,\"ms\":%.1f,\"said\":", code == 0 ? "true" : "false", code,
                   c->shared->generation, ms);
  int bad = tm_buf_put(&json, text, n) != 0 || tm_ffi_json_lossy(&json, c->reload.text.data, c->reload.text.len) != 0 ||
            tm_buf_put(&json, ",\"error\":", 9) != 0 || tm_ffi_json_lossy(&json, error, (int32_t)strlen(error)) != 0 || tm_buf_put(&json, "}\n", 2) != 0;
  if (bad) json.len = 0;
  tm_visitors_answer(&c->reload.waiting, code == 0 ? 200 : 409, json.data, (size_t)json.len);
  tm_buf_fini(&json);
}

/* code 0: the new scripts run. error: in one sentence, where what was said does not tell it. */
static void over(struct control *c, int code, const char *error) {
  if (code != 0) tm_log_warning("%s", goes_on);
  tm_control_dev_watch(c);
  tm_control_shadow_reloaded(c, code == 0);
  answer(c, code, error);
  c->reload.stage = TM_RELOAD_NONE;
  ev_timer_stop(c->loop, &c->reload.watch);
  if (!c->reload.again) return;
  c->reload.again = 0;
  c->reload.waiting = c->reload.next;
  c->reload.next.n = 0;
  begin_trial(c, c->reload.again_back);
}

/* ---- the worker ---- */

static void on_watch(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  (void)loop;
  (void)revents;
  if (c->shared->reload != c->reload.number) {
    c->shared->reload = c->reload.number;
    if (c->pid > 0) kill(c->pid, SIGUSR1);
  }
  if (c->shared->reload_told != c->reload.number) return;
  int code = c->shared->reload_code;
  over(c, code, code != 0 ? (const char *)c->shared->reload_why : "");
}

static void ask_worker(struct control *c) {
  c->reload.stage = TM_RELOAD_WORKER;
  c->shared->reload = ++c->reload.number;
  if (c->pid > 0) kill(c->pid, SIGUSR1);
  ev_timer_set(&c->reload.watch, LOOK_EVERY_S, LOOK_EVERY_S);
  ev_timer_start(c->loop, &c->reload.watch);
}

void tm_control_reload_died(struct control *c) {
  if (c->reload.stage != TM_RELOAD_WORKER || c->shared->reload_told == c->reload.number) return;
  c->shared->reload_told = c->reload.number;
  over(c, FAILED, "the worker died meanwhile");
}

/* ---- the trial ---- */

static void take_said(struct control *c) {
  char text[4096];
  ssize_t n;
  while (c->reload.said_fd >= 0 && ((n = read(c->reload.said_fd, text, sizeof text)) > 0 || (n < 0 && errno == EINTR))) {
    if (n < 0) continue;
    tm_log_text(text, (size_t)n);
    int32_t room = TEXT_KEPT - c->reload.text.len;
    if (room > 0) tm_buf_put(&c->reload.text, text, n < room ? (int32_t)n : room);
  }
}

static void on_said(struct ev_loop *loop, ev_io *w, int revents) {
  (void)loop;
  (void)revents;
  take_said(w->data);
}

static void said_end(struct control *c) {
  if (c->reload.said_fd < 0) return;
  ev_io_stop(c->loop, &c->reload.said);
  close(c->reload.said_fd);
  c->reload.said_fd = -1;
}

static void on_trial(struct ev_loop *loop, ev_child *w, int revents) {
  struct control *c = w->data;
  char why[128];
  (void)revents;
  ev_child_stop(loop, w);
  c->reload.pid = 0;
  take_said(c);
  said_end(c);
  if (c->reload.again && c->reload.waiting.n + c->reload.next.n <= TM_SERVER_VISITS && c->reload.again_back == c->reload.back) {
    /* what was tried may be out of date already */
    for (int i = 0; i < c->reload.next.n; i++) tm_visitors_add(&c->reload.waiting, c->reload.next.visits[i]);
    c->reload.next.n = 0;
    c->reload.again = 0;
    begin_trial(c, c->reload.back);
  } else if (WIFEXITED(w->rstatus) && WEXITSTATUS(w->rstatus) == 0) {
    ask_worker(c);
  } else if (WIFEXITED(w->rstatus)) {
    over(c, WEXITSTATUS(w->rstatus), "the scripts were refused");
  } else {
    snprintf(why, sizeof why, "the process that tried the scripts ended by signal %d (%s)", WTERMSIG(w->rstatus), strsignal(WTERMSIG(w->rstatus)));
    tm_log_error("%s", why);
    over(c, REJECTED, why);
  }
}

/* In the child: the generation to go back to, where memory has it no more. */
static void load_before(struct control *c, struct tm_texts *t, int32_t target) {
  struct tm_err err;
  int32_t number = t->number;
  int rc = tm_texts_load(t, target, c->io, c->o->data, &err);
  t->number = number;
  if (rc == 0) return;
  if (rc > 0) tm_log_error("%s: generation %d of the scripts is not kept there any more", c->o->data, target);
  else tm_log_error("%s", err.detail);
  exit(FAILED);
}

/* In the child: standard error goes to control. back: which generation is to be read of the data folder; 0 none. */
_Noreturn static void trial(struct control *c, int said, int32_t back) {
  struct tm_err err;
  dup2(said, STDERR_FILENO);
  close(said);
  tm_log_plain();
  struct tm_shared *own = tm_shared_new(NULL, &err);  /* what the run has is not touched */
  if (own == NULL) exit(FAILED);
  own->shadow = c->shared->shadow;
  struct tm_texts *t = own->texts = c->shared->candidate;
  own->compiled = c->shared->compiled;
  if (back > 0) load_before(c, t, back);
  int code = tm_worker_trial(c->o, own);
  if (code == 0 && t != NULL && t->broken)
    tm_log_warning("scripts, packs and lists have more than %d MiB together: they are not kept, and nothing can go back to them", TM_TEXTS_BYTES >> 20);
  if (code == 0 && t != NULL && c->o->data != NULL && tm_texts_save(t, c->io, c->o->data, &err) != 0) {
    tm_log_error("%s", err.detail);
    code = FAILED;
  }
  exit(code);
}

/* The generation of that number, in memory; NULL. */
static struct tm_texts *slot_of(const struct control *c, int32_t number) {
  for (int i = 0; i < TM_TEXTS_SLOTS; i++)
    if (c->reload.slots[i] != NULL && c->reload.slots[i]->number == number && !c->reload.slots[i]->broken) return c->reload.slots[i];
  return NULL;
}

/* A slot for the candidate: what is neither at work nor needed, the oldest. */
static struct tm_texts *free_slot(const struct control *c, const struct tm_texts *needed) {
  struct tm_texts *oldest = NULL;
  for (int i = 0; i < TM_TEXTS_SLOTS; i++) {
    struct tm_texts *t = c->reload.slots[i];
    if (t == NULL || t == c->shared->texts || t == needed) continue;
    if (oldest == NULL || t->number < oldest->number) oldest = t;
  }
  return oldest;
}

/* What is to be loaded: shared->candidate, empty or with the files to go back to. *load: which generation the data folder has to give. 0, or -1 and
 * why. */
static int candidate(struct control *c, int back, int32_t *load, char *why, size_t size) {
  struct tm_texts *now = c->shared->texts, *target = NULL;
  int32_t before = back && now != NULL ? now->before : 0;
  *load = 0;
  c->shared->candidate = NULL;
  if (back && now == NULL) snprintf(why, size, "no generation of scripts is kept: there was no memory for them");
  else if (back && before == 0) snprintf(why, size, "generation %d has the files of the first one: there is none to go back to", c->shared->generation);
  else if (back && (target = slot_of(c, before)) == NULL && c->o->data == NULL) snprintf(why, size, "generation %d is not kept any more", before);
  else why[0] = '\0';
  if (why[0] != '\0') return -1;
  struct tm_texts *slot = now != NULL ? free_slot(c, target) : NULL;
  if (slot == NULL) return 0;
  tm_texts_clear(slot, c->shared->generation + 1, target != NULL ? target->before : c->shared->generation);
  if (target != NULL) tm_texts_copy(slot, target);
  else *load = before;
  c->shared->candidate = slot;
  return 0;
}

static void begin_trial(struct control *c, int back) {
  sigset_t all, old;
  pid_t control_pid = getpid();
  int said[2];
  int32_t load;
  char why[160];
  c->reload.begun_ns = c->io->mono_ns(c->io);
  c->reload.text.len = 0;
  c->reload.back = back;
  if (candidate(c, back, &load, why, sizeof why) != 0) {
    tm_log_error("%s", why);
    over(c, FAILED, why);
    return;
  }
  tm_control_shadow_reloading(c, back && c->shared->texts != NULL ? c->shared->texts->before : 0);
  if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0) {
    snprintf(why, sizeof why, "the scripts cannot be tried: no pipe: %s", strerror(errno));
    tm_log_error("%s", why);
    over(c, FAILED, why);
    return;
  }
  fflush(NULL);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &old);
  c->reload.pid = fork();
  if (c->reload.pid == 0) {
    tm_control_child_enter(c, control_pid);
    sigprocmask(SIG_SETMASK, &old, NULL);
    fcntl(said[1], F_SETFL, 0);
    trial(c, said[1], load);
  }
  sigprocmask(SIG_SETMASK, &old, NULL);
  close(said[1]);
  if (c->reload.pid < 0) {
    close(said[0]);
    c->reload.pid = 0;
    snprintf(why, sizeof why, "the scripts cannot be loaded anew: no process: %s", strerror(errno));
    tm_log_error("%s", why);
    over(c, FAILED, why);
    return;
  }
  c->reload.stage = TM_RELOAD_TRIAL;
  c->reload.said_fd = said[0];
  ev_io_set(&c->reload.said, said[0], EV_READ);
  ev_io_start(c->loop, &c->reload.said);
  ev_child_set(&c->reload.child, c->reload.pid, 0);
  ev_child_start(c->loop, &c->reload.child);
}

void tm_control_reload(struct control *c, int back, struct tm_visit *v) {
  if (c->reload.stage == TM_RELOAD_NONE) {
    tm_visitors_add(&c->reload.waiting, v);
    begin_trial(c, back);
    return;
  }
  tm_visitors_add(&c->reload.next, v);
  c->reload.again = 1;
  c->reload.again_back = back;
}

void tm_control_changed(struct control *c) {
  if (!c->broken) {
    tm_control_reload(c, 0, NULL);
    return;
  }
  c->broken = 0;
  if (c->shared->texts != NULL) tm_texts_clear(c->shared->texts, 1, 0);
  if (tm_control_worker_start(c) != 0) tm_control_finish(c, FAILED);
}

void tm_control_texts_begin(struct control *c) {
  c->shared->generation = 1;
  if (c->entry != tm_worker_main || c->o->state != NULL || c->o->import || c->o->replay != NULL) return;
  for (int i = 0; i < TM_TEXTS_SLOTS; i++) {
    c->reload.slots[i] = tm_texts_new();
    if (c->reload.slots[i] == NULL) {  /* all or none */
      while (i > 0) tm_texts_free(c->reload.slots[--i]);
      memset(c->reload.slots, 0, sizeof c->reload.slots);
      return;
    }
  }
  c->shared->compiled = tm_texts_new();
  c->shared->generation = 0;
  tm_texts_clear(c->reload.slots[0], 1, 0);
  c->shared->texts = c->reload.slots[0];
}

void tm_control_reload_begin(struct control *c) {
  tm_buf_init(&c->reload.text, TEXT_KEPT + 1);
  c->reload.said_fd = -1;
  ev_child_init(&c->reload.child, on_trial, 0, 0);
  ev_init(&c->reload.said, on_said);
  ev_init(&c->reload.watch, on_watch);
  c->reload.child.data = c->reload.said.data = c->reload.watch.data = c;
}

void tm_control_reload_end(struct control *c) {
  ev_child_stop(c->loop, &c->reload.child);
  ev_timer_stop(c->loop, &c->reload.watch);
  said_end(c);
}
