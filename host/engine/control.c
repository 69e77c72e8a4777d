/* control.c - forks, watches, restarts and ends the worker.
 *
 * One libev loop with a child watcher, three signals and a timer. All of it is in struct control on the stack of
 * control_main; nothing is global but libev's default loop, which child watchers need.
 *
 * The deadline here is the second line of defence: the worker stops an overdue event itself, by its guard. Control
 * looks at the attempt marker only, in case the guard could not (a loop inside C, a guard that failed). It counts
 * looks instead of time, so that a machine that slept or a stopped terminal blames nobody, and asks that the worker
 * has spent as much processor time: one that waits for a full stderr is not running away, and on a busy machine the
 * worker's own deadline, which is half of that, comes first. */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../base/err.h"
#include "../base/log.h"
#include "../io/sink.h"
#include "../io/input_ring.h"
#include "control_own.h"
#include "epochs.h"
#include "shared.h"
#include "summary.h"
#include "worker.h"

/* of the progress of a replay */
static const double PROGRESS_AFTER_S = 2, PROGRESS_EVERY_S = 0.5;
static const char CLEAR_LINE[] = "\r\033[K";

int64_t tm_control_deadline_ms(const struct control *c) {
  return c->o->deadline_ms > 0 ? c->o->deadline_ms : TM_CONTROL_DEADLINE_MS;
}

/* ---- the worker's side of the fork ------------------------------------- */

static void handler_set(int sig, void (*handler)(int)) {
  struct sigaction sa;

  memset(&sa, 0, sizeof sa);
  sa.sa_handler = handler;
  sigemptyset(&sa.sa_mask);
  sigaction(sig, &sa, NULL);
}

/* Frees the child of control's loop and signals. Signals are blocked while this runs. TERM and INT reach the whole
 * process group from a terminal; it is control that acts on them, so the worker ignores its copy. USR1 must not
 * kill a worker that has not installed its handler yet: `drain` is set before it is sent. */
void tm_control_child_enter(struct control *c, pid_t control_pid) {
  ev_child_stop(c->loop, &c->child);
  ev_signal_stop(c->loop, &c->sig_term);
  ev_signal_stop(c->loop, &c->sig_int);
  ev_signal_stop(c->loop, &c->sig_hup);
  ev_timer_stop(c->loop, &c->look);
  ev_timer_stop(c->loop, &c->progress);
  tm_control_reload_end(c);
  tm_server_abandon(c->admin.server);
  tm_control_dev_end(c);
  ev_loop_destroy(c->loop);
  handler_set(SIGTERM, SIG_IGN);
  handler_set(SIGINT, SIG_IGN);
  handler_set(SIGHUP, SIG_IGN);
  handler_set(SIGPIPE, SIG_IGN);
  handler_set(SIGUSR1, SIG_IGN);
  handler_set(SIGCHLD, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  /* control may have died between fork and prctl; nobody would then end this process */
  if (getppid() != control_pid) _exit(1);
}

/* Starts a worker: 0, or -1 with the reason logged. */
int tm_control_worker_start(struct control *c) {
  sigset_t all, old;
  pid_t control_pid = getpid();

  c->shared->phase = TM_PHASE_LOADING;
  c->looks = 0;
  c->overdue = 0;
  fflush(NULL);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &old);
  c->pid = fork();
  if (c->pid == 0) {
    tm_control_child_enter(c, control_pid);
    sigprocmask(SIG_SETMASK, &old, NULL);
    exit(c->entry(c->o, c->shared));
  }
  sigprocmask(SIG_SETMASK, &old, NULL);
  if (c->pid < 0) {
    c->pid = 0;
    tm_log_error("cannot start a worker process: %s", strerror(errno));
    return -1;
  }
  ev_child_set(&c->child, c->pid, 0);
  ev_child_start(c->loop, &c->child);
  return 0;
}

/* ---- how a worker ended ---- */

void tm_control_finish(struct control *c, int exit_code) {
  c->exit_code = exit_code;
  ev_break(c->loop, EVBREAK_ALL);
}

static void on_exit_code(struct control *c, int code) {
  if (c->dev != NULL && !c->ran && code != 0) {  /* its author is at work */
    tm_control_dev_watch(c);
    c->broken = 1;
    tm_log_info("waiting for a change of the scripts");
    return;
  }
  if (code == 0 && c->o->strict && (c->deaths > 0 || c->shared->strict_failed)) code = 1;
  if (code == 0 && c->drain_signal == SIGINT) code = 128 + SIGINT;
  tm_control_finish(c, code);
}

/* The worker gave its place to a child of its own, which is control's now (reload.h). */
static int heir_start(struct control *c) {
  pid_t heir = c->shared->heir;

  if (heir == 0) return 0;
  c->shared->heir = 0;
  c->pid = heir;
  c->looks = 0;
  ev_child_set(&c->child, heir, 0);
  ev_child_start(c->loop, &c->child);
  if (kill(heir, SIGUSR1) == 0) return 1;  /* what it was to be told went to the one before */
  ev_child_stop(c->loop, &c->child);  /* dead already, and nobody will tell */
  return 0;
}

static void on_child(struct ev_loop *loop, ev_child *w, int revents) {
  struct control *c = w->data;
  int status = w->rstatus;

  (void)revents;
  ev_child_stop(loop, w);
  if (c->shared->heir != 0) {
    if (heir_start(c)) return;
    status = SIGKILL;
  }
  c->pid = 0;
  if (c->shared->phase != TM_PHASE_LOADING) c->ran = 1;
  if (c->stop_signal != 0) tm_control_finish(c, 128 + c->stop_signal);
  else if (WIFSIGNALED(status)) tm_control_death(c, WTERMSIG(status));
  else on_exit_code(c, WEXITSTATUS(status));
}

/* ---- signals and the deadline ------------------------------------------- */

void tm_control_drain(struct control *c, int sig) {
  c->drain_signal = sig;
  c->shared->drain = 1;
  if (c->pid > 0) kill(c->pid, SIGUSR1);
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int revents) {
  (void)loop;
  (void)revents;
  tm_control_reload(w->data, 0, NULL);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents) {
  struct control *c = w->data;

  (void)loop;
  (void)revents;
  if (c->drain_signal == 0) {
    tm_control_drain(c, w->signum);
    return;
  }
  c->stop_signal = w->signum;
  if (c->pid > 0) kill(c->pid, SIGKILL);
}

static int marker_same(const struct tm_marker *a, const struct tm_marker *b) {
  return a->serial == b->serial && a->pipeline == b->pipeline && a->row == b->row && a->step == b->step &&
         a->sub == b->sub;
}

static uint64_t worker_cpu_ns(const struct control *c) {
  clockid_t clock;
  struct timespec ts;

  if (clock_getcpuclockid(c->pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) return 0;
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  struct tm_marker now;

  (void)loop;
  (void)revents;
  if (c->pid <= 0 || c->overdue) return;
  if (c->drain_signal != 0 && !c->shared->drain) {  /* a worker that was taking up a kept run put back what it knew before */
    c->shared->drain = 1;
    kill(c->pid, SIGUSR1);
  }
  memcpy(&now, &c->shared->flow.marker, sizeof now);
  if (now.serial == 0) {
    c->looks = 0;
    return;
  }
  if (c->looks == 0 || !marker_same(&now, &c->seen)) {
    c->seen = now;
    c->looks = 1;
    c->seen_cpu_ns = worker_cpu_ns(c);
    return;
  }
  c->looks++;
  if (c->looks <= TM_CONTROL_LOOKS_MAX || worker_cpu_ns(c) - c->seen_cpu_ns < 2 * (uint64_t)tm_control_deadline_ms(c) * 1000000u) return;
  c->overdue = 1;
  kill(c->pid, SIGKILL);
}

/* ---- the progress of a replay, a backtest ---- */

static int tells_progress(const struct tm_options *o) {
  return o->replay != NULL || (o->state != NULL && (strcmp(o->state, "backtest") == 0 || strcmp(o->state, "why") == 0));
}

static void on_progress(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  const char *what = c->o->state != NULL ? c->o->state : "replay";
  unsigned long long events = (unsigned long long)c->shared->counters.events_in;
  char line[128];
  int n;

  (void)loop;
  (void)revents;
  if (c->o->replay != NULL && !c->shared->progressed) return;
  if (c->o->replay != NULL)
    n = snprintf(line, sizeof line, "%s%s: %.1f %% of the log, %llu events", CLEAR_LINE, what, 100 * c->shared->progress, events);
  else
    n = snprintf(line, sizeof line, "%s%s: %llu events, %llu MiB", CLEAR_LINE, what, events,
                 (unsigned long long)(c->shared->counters.bytes_in >> 20));
  tm_log_text(line, (size_t)n);
  c->progress_shown = 1;
}

/* ---- the whole ------------------------------------------------------------ */

static void watchers_start(struct control *c) {
  double every = (double)tm_control_deadline_ms(c) / 1000.0 / TM_CONTROL_LOOKS;

  ev_child_init(&c->child, on_child, 0, 0);
  ev_signal_init(&c->sig_term, on_stop, SIGTERM);
  ev_signal_init(&c->sig_int, on_stop, SIGINT);
  ev_signal_init(&c->sig_hup, on_hup, SIGHUP);
  ev_timer_init(&c->look, on_look, every, every);
  c->child.data = c->sig_term.data = c->sig_int.data = c->sig_hup.data = c->look.data = c;
  ev_timer_init(&c->progress, on_progress, PROGRESS_AFTER_S, PROGRESS_EVERY_S);
  c->progress.data = c;
  if (tells_progress(c->o) && isatty(STDERR_FILENO)) ev_timer_start(c->loop, &c->progress);
  ev_signal_start(c->loop, &c->sig_term);
  ev_signal_start(c->loop, &c->sig_int);
  ev_signal_start(c->loop, &c->sig_hup);
  ev_timer_start(c->loop, &c->look);
  handler_set(SIGPIPE, SIG_IGN);
  tm_control_reload_begin(c);
  tm_control_shadow_begin(c);
  tm_control_admin_begin(c);
  tm_control_dev_begin(c);
}

static void watchers_stop(struct control *c) {
  ev_signal_stop(c->loop, &c->sig_term);
  ev_signal_stop(c->loop, &c->sig_int);
  ev_signal_stop(c->loop, &c->sig_hup);
  ev_timer_stop(c->loop, &c->look);
  ev_timer_stop(c->loop, &c->progress);
  tm_control_dev_end(c);
  tm_control_shadow_end(c);
  tm_control_admin_end(c);
  tm_control_reload_end(c);
  if (c->progress_shown) tm_log_text(CLEAR_LINE, sizeof CLEAR_LINE - 1);
  ev_loop_destroy(c->loop);
}

static void summary_say(const struct control *c, uint64_t wall_ns) {
  struct tm_summary sum = { .shared = c->shared, .wall_ns = wall_ns, .exit_code = c->exit_code };
  struct rusage ru;

  if (getrusage(RUSAGE_CHILDREN, &ru) == 0) {
    sum.cpu_ms = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000u +
                 (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1000u;
    sum.memory_peak = (uint64_t)ru.ru_maxrss * 1024u;
  }
  if (c->o->json) tm_summary_print_json(&sum);
  else tm_summary_print(&sum);
}

/* Standard descriptors that are closed would be given to the next files opened. One that is no more than a name takes
 * their place: reading and writing it fails as if it were closed (io/ knows it by O_PATH). */
static void standard_reserve(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) != fd) abort();
}

static int control_main(struct control *c) {
  struct tm_err err;

  c->begun_ns = c->io->mono_ns(c->io);
  standard_reserve();
  prctl(PR_SET_CHILD_SUBREAPER, 1);  /* a worker's child may take its place */
  int again = c->o->state != NULL && strcmp(c->o->state, "why") == 0;
  int kept = c->o->data != NULL && c->entry == tm_worker_main && (c->o->state == NULL || again);
  c->shared = tm_shared_new(kept ? tm_epochs_shared_at() : NULL, &err);
  if (c->shared == NULL) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if (c->entry == tm_worker_main && c->o->state == NULL) c->shared->shadow = tm_shadow_new();
  if (kept && (c->shared->input = tm_input_ring_new()) == NULL) {
    tm_log_error("no address space for what is read of standard input: %s (see ulimit -v)", strerror(errno));
    return 1;
  }
  if (tm_sink_relay_open(c->shared->relay) != 0) {
    tm_log_error("no descriptors for standard output: %s", strerror(errno));
    return 1;
  }
  c->loop = ev_default_loop(EVFLAG_AUTO | EVFLAG_NOENV);
  if (c->loop == NULL) {
    tm_log_error("cannot start the event loop: %s", strerror(errno));
    return 1;
  }
  watchers_start(c);
  tm_control_texts_begin(c);
  if (tm_control_worker_start(c) == 0) ev_run(c->loop, 0);
  else c->exit_code = 1;
  watchers_stop(c);
  if (c->entry == tm_worker_main && c->ran && !c->o->quiet) summary_say(c, c->io->mono_ns(c->io) - c->begun_ns);
  if (c->o->state != NULL) tm_summary_print_failures(c->shared);
  return c->exit_code;
}

int tm_control_run(const struct tm_options *o, const struct tm_io *io) {
  struct control c = { .o = o, .io = io, .entry = tm_worker_main };

  return control_main(&c);
}

int tm_control_check(const struct tm_options *o, const struct tm_io *io) {
  struct control c = { .o = o, .io = io, .entry = tm_worker_check };

  return control_main(&c);
}

int tm_control_graph(const struct tm_options *o, const struct tm_io *io) {
  struct control c = { .o = o, .io = io, .entry = tm_worker_graph };

  return control_main(&c);
}
