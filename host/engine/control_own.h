/* control_own.h - the inside of control; for control*.c, and for what serves its socket. */
#ifndef TM_ENGINE_CONTROL_OWN_H
#define TM_ENGINE_CONTROL_OWN_H

#include <sys/types.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop

#include "../base/buf.h"
#include "../base/io.h"
#include "../command/options.h"
#include "../net/server.h"
#include "shadow.h"
#include "shared.h"
#include "texts.h"

/* looks at the marker in one deadline, and how many see the same before the worker is killed */
enum { TM_CONTROL_LOOKS = 4, TM_CONTROL_LOOKS_MAX = 2 * TM_CONTROL_LOOKS, TM_CONTROL_DEADLINE_MS = 1000 };

struct tm_control_dev;

/* How far scripts that are loaded anew have come. */
enum tm_control_reload { TM_RELOAD_NONE = 0, TM_RELOAD_TRIAL, TM_RELOAD_WORKER };

/* Visits that wait for the same thing. */
struct tm_visitors {
  struct tm_visit *visits[TM_SERVER_VISITS];
  int n;
};

struct control {
  const struct tm_options *o;
  const struct tm_io *io;
  struct tm_shared *shared;
  int (*entry)(const struct tm_options *o, struct tm_shared *shared);  /* the worker's main */
  struct ev_loop *loop;
  ev_child child;
  ev_signal sig_term, sig_int, sig_hup;
  ev_timer look;
  ev_timer progress;       /* of a replay, on a terminal */
  int progress_shown;
  uint64_t begun_ns;
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
  /* control_reload.c */
  struct {
    enum tm_control_reload stage;
    ev_child child;                 /* the trial */
    pid_t pid;
    int said_fd;                    /* what it says on stderr; -1 none */
    ev_io said;
    struct tm_buf text;             /* the same, for who waits */
    ev_timer watch;                 /* has the worker told? */
    uint64_t begun_ns;
    int back;                       /* to the generation before */
    int again, again_back;          /* asked once more meanwhile */
    struct tm_visitors waiting, next;
    struct tm_texts *slots[TM_TEXTS_SLOTS];  /* generations; all NULL: none is kept */
    int32_t number;                 /* shared->reload as it is to be: a worker that takes up a kept run may put back what it knew */
  } reload;
  struct tm_control_dev *dev;       /* control_dev.c; NULL: nothing is watched */
  int broken;                       /* dev: the first scripts do not load; no worker is there until a file changes */
  /* control_admin.c */
  struct {
    struct tm_server *server;
    ev_timer opening;               /* until a worker runs */
    char *path;                     /* of the socket; NULL none */
    char *alias;                    /* a name for it in the folder of all runs; NULL none */
    struct tm_visitors drains;       /* told when the run has ended */
    struct tm_visitors asked;        /* wait for what the worker tells of itself */
    ev_timer asking;
    uint64_t asked_ns;
  } admin;
  /* control_shadow.c */
  struct {
    ev_timer watch;                 /* a candidate begins, or is at work */
    struct tm_visitors waiting;     /* for its beginning */
    uint64_t turns, cpu_ns;         /* what it had done when it was last seen to move, and its processor time then */
    uint64_t weighed_ns;            /* when its memory was looked at */
    int32_t promoting;              /* a candidate takes the run's place, if the reload at work succeeds */
    int reloading;                  /* scripts are being loaded anew */
    struct tm_adopted *kept;        /* by generation: what was promoted until then (control_shadow.c) */
  } shadow;
};

/* ---- control.c ---- */
/* Starts a worker: 0, or -1 with the reason logged. */
int tm_control_worker_start(struct control *c);
/* A child of control's: nothing of control's loop, signals and sockets is left. Signals are blocked while this runs. */
void tm_control_child_enter(struct control *c, pid_t control_pid);
/* The run ends. */
void tm_control_finish(struct control *c, int exit_code);
/* No more is read, and what was read is finished. */
void tm_control_drain(struct control *c, int sig);
int64_t tm_control_deadline_ms(const struct control *c);

/* ---- control_death.c ---- */
/* A worker ended by a signal: it is told, and another one is started, if that leads anywhere. */
void tm_control_death(struct control *c, int sig);

/* ---- control_reload.c ---- */
/* Memory for generations of scripts, before the first worker; where there is none, nothing goes back. */
void tm_control_texts_begin(struct control *c);
void tm_control_reload_begin(struct control *c);
void tm_control_reload_end(struct control *c);
/* The scripts are to be loaded anew; back: those of the generation before. v: who waits for how it ends; NULL nobody. */
void tm_control_reload(struct control *c, int back, struct tm_visit *v);
/* The worker died: what it was asked is over. */
void tm_control_reload_died(struct control *c);

/* A file of the scripts has changed (dev). */
void tm_control_changed(struct control *c);

/* ---- control_dev.c ---- */
void tm_control_dev_begin(struct control *c);
void tm_control_dev_end(struct control *c);
/* What was loaded, or tried, is known: its files are watched. */
void tm_control_dev_watch(struct control *c);

/* ---- control_admin.c ---- */
void tm_control_admin_begin(struct control *c);
void tm_control_admin_end(struct control *c);

/* ---- control_shadow.c ---- */
void tm_control_shadow_begin(struct control *c);
void tm_control_shadow_end(struct control *c);
/* The worker has ended, and the candidate with it. */
void tm_control_shadow_died(struct control *c);
/* Scripts are about to be loaded anew; back: as they were in that generation, 0 as they are now: what was promoted since goes too. */
void tm_control_shadow_reloading(struct control *c, int32_t back);
/* And that has ended: with the candidate that was to be promoted, or not. */
void tm_control_shadow_reloaded(struct control *c, int ok);
void tm_serve_rules_shadow(struct control *c, struct tm_visit *v);
void tm_serve_rules_diff(struct control *c, struct tm_visit *v);
void tm_serve_rules_promote(struct control *c, struct tm_visit *v);
void tm_serve_rules_discard(struct control *c, struct tm_visit *v);

/* ---- visits that wait ---- */
static inline void tm_visitors_add(struct tm_visitors *w, struct tm_visit *v) {
  if (v != NULL) w->visits[w->n++] = v;
}
static inline void tm_visitors_answer(struct tm_visitors *w, int status, const char *json, size_t n) {
  for (int i = 0; i < w->n; i++) tm_visit_answer(w->visits[i], status, json, n);
  w->n = 0;
}

#endif
