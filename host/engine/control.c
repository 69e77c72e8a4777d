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
#include <ev.h>
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
#include "epochs.h"
#include "shared.h"
#include "summary.h"
#include "worker.h"

/* looks at the marker in one deadline, and how many see the same before the worker is killed */
enum { LOOKS_PER_DEADLINE = 4, LOOKS_MAX = 2 * LOOKS_PER_DEADLINE, DEADLINE_MS = 1000,
       KILLS_MAX = 5,
       DEATHS_KEPT_MAX = 20 };  /* where the run is kept, what a worker did before its death may be done again */

/* of the progress of a replay */
static const double PROGRESS_AFTER_S = 2, PROGRESS_EVERY_S = 0.5;
static const char CLEAR_LINE[] = "\r\033[K";

struct control {
  const struct tm_options *o;
  const struct tm_io *io;
  struct tm_shared *shared;
  int (*entry)(const struct tm_options *o, struct tm_shared *shared);  /* the worker's main */
  struct ev_loop *loop;
  ev_child child;
  ev_child trial;         /* loads scripts that are to be loaded anew */
  pid_t trial_pid;        /* 0: none */
  int hup_again;          /* asked once more meanwhile */
  ev_signal sig_term, sig_int, sig_hup;
  ev_timer look;
  ev_timer progress;       /* of a replay, on a terminal */
  int progress_shown;
  pid_t pid;               /* the worker; 0: none */
  int ran;                 /* a worker got as far as running */
  int drain_signal;        /* the first TERM or INT; 0: none */
  int stop_signal;         /* the second: the worker was killed for it */
  int exit_code;
  struct tm_marker seen;   /* the marker at the last look */
  int looks;               /* looks in a row that saw it */
  uint64_t seen_cpu_ns;    /* the worker's processor time at the first of them */
  int overdue;             /* the worker was killed for its deadline */
  int deaths;              /* all */
  int deaths_stuck;        /* in a row without progress */
  int same_deaths, same_kills;  /* in a row at the same event: of their own, and by kills from outside */
  uint64_t stuck_moves;    /* tm_shared.moves at the last of them */
};

static int64_t deadline_ms(const struct control *c) {
  return c->o->deadline_ms > 0 ? c->o->deadline_ms : DEADLINE_MS;
}

/* ---- the worker's side of the fork ------------------------------------- */

static void handler_set(int sig, void (*handler)(int)) {
  struct sigaction sa;

  memset(&sa, 0, sizeof sa);
  sa.sa_handler = handler;
  sigemptyset(&sa.sa_mask);
  sigaction(sig, &sa, NULL);
}

static void trial_start(struct control *c);

/* Frees the child of control's loop and signals. Signals are blocked while this runs. TERM and INT reach the whole
 * process group from a terminal; it is control that acts on them, so the worker ignores its copy. USR1 must not
 * kill a worker that has not installed its handler yet: `drain` is set before it is sent. */
static void worker_enter(struct control *c, pid_t control_pid) {
  ev_child_stop(c->loop, &c->child);
  ev_child_stop(c->loop, &c->trial);
  ev_signal_stop(c->loop, &c->sig_term);
  ev_signal_stop(c->loop, &c->sig_int);
  ev_signal_stop(c->loop, &c->sig_hup);
  ev_timer_stop(c->loop, &c->look);
  ev_timer_stop(c->loop, &c->progress);
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
static int worker_start(struct control *c) {
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
    worker_enter(c, control_pid);
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

/* ---- how a worker ended -------------------------------------------------- */

static int batch_holds(const struct tm_shared *s, const struct tm_batch *b, int32_t row) {
  return tm_shared_holds(s, b, sizeof *b) && (uintptr_t)b % _Alignof(struct tm_batch) == 0 && row >= 0 && row < b->rows &&
         row < TM_BATCH_ROWS;
}

/* How many events of the source of the batch at hand came before that row, the same number in every worker; -1 not known. */
static double event_number(const struct tm_shared *s, int32_t row) {
  const struct tm_batch *b = s->batch;

  if (row < -1) row -= TM_AFTER;
  if (!batch_holds(s, b, row)) return -1;
  double n = s->batch_good;
  for (int32_t i = row; i < b->rows && i < TM_BATCH_ROWS; i++) n -= b->status[i] == TM_LINE_OK;
  return n;
}

/* ", tx.ndjson line 17: {...}" for row of the batch at hand, as far as the worker left it readable. Behind a link the
 * text is the row's, the line that of the event it was made of. */
static void event_text(const struct tm_shared *s, int32_t row, char *out, size_t size) {
  const struct tm_batch *b = s->batch, *root = s->root;
  int source_len = (int)strnlen(s->source, sizeof s->source);
  int32_t len, slot;

  out[0] = '\0';
  if (row < -1) row -= TM_AFTER;
  if (!batch_holds(s, b, row)) return;
  len = b->len[row];
  slot = b->origin[row];
  if (len < 0 || b->off[row] < 0 || !tm_shared_holds(s, b->raw + b->off[row], (size_t)len)) return;
  if (!batch_holds(s, root, slot)) return;
  int packed = root->format == TM_FORMAT_MSGPACK;
  double place = root->line_first + root->line[slot];
  int n = snprintf(out, size, ", %.*s%s%s %.0f", source_len, s->source, source_len > 0 ? " " : "", packed ? "byte" : "line", place);
  /* bytes of msgpack are nothing to read */
  if (b->format != TM_FORMAT_MSGPACK && n > 0 && (size_t)n < size)
    snprintf(out + n, size - (size_t)n, ": %.*s%s", len > 160 ? 160 : len, b->raw + b->off[row], len > 160 ? "..." : "");
}

/* "in pipeline clean, tx.ndjson line 17: {...}" */
static void place_text(const struct tm_shared *s, const struct tm_marker *m, char *out, size_t size) {
  char event[512], pipeline[80] = "";

  if (m->serial == 0 || s->phase == TM_PHASE_LOADING || m->pipeline == -1) {
    snprintf(out, size, "%s", s->phase == TM_PHASE_LOADING ? "while it loaded" : m->serial == 0 ? "outside of user code" : "in a generator");
    return;
  }
  if (m->pipeline >= 0 && m->pipeline < TM_SHARED_PIPELINES)
    snprintf(pipeline, sizeof pipeline, "%.*s", (int)sizeof s->pipelines[0] - 1, s->pipelines[m->pipeline]);
  event_text(s, m->row, event, sizeof event);
  if (pipeline[0] != '\0') snprintf(out, size, "in pipeline %s%s", pipeline, event);
  else snprintf(out, size, "in pipeline number %d%s", m->pipeline + 1, event);
}

static void death_say(const struct control *c, int sig, const struct tm_marker *m) {
  char place[640], how[160];
  long long ms = deadline_ms(c);

  place_text(c->shared, m, place, sizeof place);
  if (c->overdue)
    snprintf(how, sizeof how, "worker killed: one event was not done after %lld ms (deadline %lld ms),",
             2 * ms, ms);
  else
    snprintf(how, sizeof how, "worker ended by signal %d (%s)%s", sig, strsignal(sig),
             sig == SIGKILL ? ", perhaps for lack of memory," : "");
  if (c->o->state != NULL) {
    tm_log_error("%s %s: what it kept is gone with it; what is printed, if anything, is not all", how, place);
    return;
  }
  tm_log_error("%s %s: the next worker goes on %s%s", how, place,
               c->o->data != NULL ? "behind the last durable epoch" : "at the first event not finished, with empty state",
               m->serial != 0 && m->pipeline >= 0 && c->shared->death_count >= 2 ? "; this event ended it before and is left out" : "");
}

/* Keeps where the worker was, for the next one: twice at the same event makes it quarantine that event.
 * A worker of a kept run goes back to the last epoch each time, and is at its slowest then: one that is killed from outside, maybe by a
 * machine without memory, is soon found at the same event twice by chance. So there it takes KILLS_MAX of such deaths. */
static void death_record(struct control *c, int sig, const struct tm_marker *m) {
  struct tm_shared *s = c->shared;
  double event = event_number(s, m->row);
  int same = s->death_count > 0 && s->death.pipeline == m->pipeline &&
             (event >= 0 ? s->death_event == event : s->death_good == s->batch_good && s->death.row == m->row);

  /* while a worker loads, `death` is still that of the one before, not mended yet */
  if (m->serial != 0 && s->phase != TM_PHASE_LOADING) {
    s->death = *m;
    s->death_event = event;
    s->death_good = s->batch_good;
    c->same_deaths = same ? c->same_deaths : 0;
    c->same_kills = same ? c->same_kills : 0;
    if (c->o->data != NULL && sig == SIGKILL && !c->overdue) c->same_kills++;
    else c->same_deaths++;
    s->death_count = c->same_kills >= KILLS_MAX ? 2 : c->same_deaths > 0 ? c->same_deaths : 1;
  }
  memset(&s->flow.marker, 0, sizeof s->flow.marker);
}

/* 1 if the deaths lead nowhere: nothing has moved from one to the next. */
static int death_is_hopeless(struct control *c) {
  uint64_t moves = c->shared->moves;
  int most = c->o->data != NULL ? DEATHS_KEPT_MAX : TM_CONTROL_DEATHS_MAX;

  c->deaths_stuck = c->deaths_stuck > 0 && c->stuck_moves == moves ? c->deaths_stuck + 1 : 1;
  c->stuck_moves = moves;
  return c->deaths_stuck >= most;
}

static void finish(struct control *c, int exit_code) {
  c->exit_code = exit_code;
  ev_break(c->loop, EVBREAK_ALL);
}

/* A run that is kept, of which no worker has read anything yet: one that was killed from outside while it took up the folder or loaded scripts is
 * followed by another, which does the same, --reset too. A script that makes each of them die ends the run nevertheless. */
static int loads_again(const struct control *c, int sig) {
  return c->o->data != NULL && c->o->state == NULL && c->entry == tm_worker_main && sig == SIGKILL && c->deaths < TM_CONTROL_DEATHS_MAX;
}

static void on_death(struct control *c, int sig) {
  const struct tm_options *o = c->o;
  struct tm_marker marker = c->shared->flow.marker;

  c->deaths++;
  if (c->overdue) c->shared->counters.worker_kills_deadline++;
  if (!c->ran && c->shared->phase == TM_PHASE_LOADING && loads_again(c, sig)) {
    tm_log_error("worker ended by signal %d (%s), perhaps for lack of memory, while it loaded: the next worker begins anew", sig, strsignal(sig));
    if (worker_start(c) != 0) finish(c, 1);
    return;
  }
  if (!c->ran && c->shared->phase == TM_PHASE_LOADING) {
    tm_log_error("worker ended by signal %d (%s) while it loaded %s; most likely the script makes it crash or use "
                 "more memory than there is", sig, strsignal(sig), o->scripts_n > 0 ? o->scripts[0] : "the code of -e");
    finish(c, 3);
    return;
  }
  if (o->state != NULL) {
    death_say(c, sig, &marker);
    finish(c, 1);
    return;
  }
  death_record(c, sig, &marker);
  if (death_is_hopeless(c)) {
    char place[640];

    place_text(c->shared, &marker, place, sizeof place);
    tm_log_error("worker ended by signal %d (%s) %s: %d times without getting any further; giving up", sig,
                 strsignal(sig), place, c->deaths_stuck);
    finish(c, 1);
    return;
  }
  death_say(c, sig, &marker);
  c->shared->counters.worker_restarts++;
  if (worker_start(c) != 0) finish(c, 1);
}

static void on_exit_code(struct control *c, int code) {
  if (code == 0 && c->o->strict && (c->deaths > 0 || c->shared->strict_failed)) code = 1;
  if (code == 0 && c->drain_signal == SIGINT) code = 128 + SIGINT;
  finish(c, code);
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
  if (kill(heir, 0) == 0) return 1;
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
  if (c->stop_signal != 0) finish(c, 128 + c->stop_signal);
  else if (WIFSIGNALED(status)) on_death(c, WTERMSIG(status));
  else on_exit_code(c, WEXITSTATUS(status));
}

/* ---- signals and the deadline ------------------------------------------- */

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents) {
  struct control *c = w->data;

  (void)loop;
  (void)revents;
  if (c->drain_signal == 0) {
    c->drain_signal = w->signum;
    c->shared->drain = 1;
    if (c->pid > 0) kill(c->pid, SIGUSR1);
    return;
  }
  c->stop_signal = w->signum;
  if (c->pid > 0) kill(c->pid, SIGKILL);
}

/* ---- scripts that are loaded anew ---- */

/* They load, in a process of their own that the run does not wait for: the worker loads them too. */
static void on_trial(struct ev_loop *loop, ev_child *w, int revents) {
  struct control *c = w->data;

  (void)revents;
  ev_child_stop(loop, w);
  c->trial_pid = 0;
  if (c->hup_again) {
    c->hup_again = 0;
    trial_start(c);
  } else if (WIFEXITED(w->rstatus) && WEXITSTATUS(w->rstatus) == 0) {
    c->shared->reload++;
    if (c->pid > 0) kill(c->pid, SIGUSR1);
  } else {
    tm_log_warning("the scripts that were loaded before run on");
  }
}

static void trial_start(struct control *c) {
  sigset_t all, old;
  pid_t control_pid = getpid();
  struct tm_err err;

  fflush(NULL);
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &old);
  c->trial_pid = fork();
  if (c->trial_pid == 0) {
    worker_enter(c, control_pid);
    sigprocmask(SIG_SETMASK, &old, NULL);
    struct tm_shared *own = tm_shared_new(NULL, &err);  /* what the run has is not touched */
    exit(own != NULL ? tm_worker_trial(c->o, own) : 1);
  }
  sigprocmask(SIG_SETMASK, &old, NULL);
  if (c->trial_pid < 0) {
    c->trial_pid = 0;
    tm_log_error("the scripts cannot be loaded anew: no process: %s", strerror(errno));
    return;
  }
  ev_child_set(&c->trial, c->trial_pid, 0);
  ev_child_start(c->loop, &c->trial);
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int revents) {
  struct control *c = w->data;

  (void)loop;
  (void)revents;
  if (c->trial_pid > 0) c->hup_again = 1;
  else trial_start(c);
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
  if (c->looks <= LOOKS_MAX || worker_cpu_ns(c) - c->seen_cpu_ns < 2 * (uint64_t)deadline_ms(c) * 1000000u) return;
  c->overdue = 1;
  kill(c->pid, SIGKILL);
}

/* ---- the progress of a replay ---- */

static void on_progress(struct ev_loop *loop, ev_timer *w, int revents) {
  struct control *c = w->data;
  char line[128];

  (void)loop;
  (void)revents;
  if (!c->shared->progressed) return;
  int n = snprintf(line, sizeof line, "%sreplay: %.1f %% of the log, %llu events", CLEAR_LINE, 100 * c->shared->progress,
                   (unsigned long long)c->shared->counters.events_in);
  tm_log_text(line, (size_t)n);
  c->progress_shown = 1;
}

/* ---- the whole ------------------------------------------------------------ */

static void watchers_start(struct control *c) {
  double every = (double)deadline_ms(c) / 1000.0 / LOOKS_PER_DEADLINE;

  ev_child_init(&c->child, on_child, 0, 0);
  ev_signal_init(&c->sig_term, on_stop, SIGTERM);
  ev_signal_init(&c->sig_int, on_stop, SIGINT);
  ev_signal_init(&c->sig_hup, on_hup, SIGHUP);
  ev_timer_init(&c->look, on_look, every, every);
  ev_child_init(&c->trial, on_trial, 0, 0);
  c->child.data = c->trial.data = c->sig_term.data = c->sig_int.data = c->sig_hup.data = c->look.data = c;
  ev_timer_init(&c->progress, on_progress, PROGRESS_AFTER_S, PROGRESS_EVERY_S);
  c->progress.data = c;
  if (c->o->replay != NULL && isatty(STDERR_FILENO)) ev_timer_start(c->loop, &c->progress);
  ev_signal_start(c->loop, &c->sig_term);
  ev_signal_start(c->loop, &c->sig_int);
  ev_signal_start(c->loop, &c->sig_hup);
  ev_timer_start(c->loop, &c->look);
  handler_set(SIGPIPE, SIG_IGN);
}

static void watchers_stop(struct control *c) {
  ev_signal_stop(c->loop, &c->sig_term);
  ev_signal_stop(c->loop, &c->sig_int);
  ev_signal_stop(c->loop, &c->sig_hup);
  ev_timer_stop(c->loop, &c->look);
  ev_timer_stop(c->loop, &c->progress);
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
  uint64_t begun = c->io->mono_ns(c->io);

  standard_reserve();
  prctl(PR_SET_CHILD_SUBREAPER, 1);  /* a worker's child may take its place */
  int kept = c->o->data != NULL && c->entry == tm_worker_main && c->o->state == NULL;
  c->shared = tm_shared_new(kept ? tm_epochs_shared_at() : NULL, &err);
  if (c->shared == NULL) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
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
  if (worker_start(c) == 0) ev_run(c->loop, 0);
  else c->exit_code = 1;
  watchers_stop(c);
  if (c->entry == tm_worker_main && c->ran && !c->o->quiet) summary_say(c, c->io->mono_ns(c->io) - begun);
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
