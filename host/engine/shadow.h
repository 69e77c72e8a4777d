/* shadow.h - a candidate runs beside the worker: other rules, or another script, fed with the same batches, writing nothing outward.
 *
 *   control    asks ------------------------------> shows diff, promotes, ends it; kills it where it is stuck or eats memory
 *   worker     between two batches | fork | batches ... each handed over when it is done (feed.h), never waiting
 *   candidate                           | a block and a Lua state of its own | the same batches, its own decisions, compared
 *
 * At the fork the candidate has all keyed state, by copy on write: what goes on under its name and layout goes on, as when scripts
 * are loaded anew (reload.h), and what a reload would refuse is refused. It has no source, no journal and no sink but files of a folder that it was
 * given. It is a child of the worker and ends with it: with the run, a reload, a death. Nothing that it does reaches the
 * worker: what they share is the ring of batches, which the worker alone fills, and struct tm_shadow. */
#ifndef TM_ENGINE_SHADOW_H
#define TM_ENGINE_SHADOW_H

#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "../command/options.h"

enum { TM_SHADOW_PATH = 4096, TM_SHADOW_ADOPTED = 16, TM_SHADOW_TEXT = 256 << 10, TM_SHADOW_JSON = 1 << 20 };

enum tm_shadow_phase { TM_SHADOW_NONE = 0, TM_SHADOW_ASKED, TM_SHADOW_LOADING, TM_SHADOW_RUNNING, TM_SHADOW_ENDED };

/* Which rules or scripts. */
struct tm_candidate {
  int32_t is_pack;           /* a folder with pack.lua, which takes the place of the run's pack of that name; else a script in the place of all */
  char path[TM_SHADOW_PATH]; /* absolute */
};

/* Shared memory, made by control before the first worker. */
struct tm_shadow {
  struct tm_feed *feed;
  volatile int32_t asked;    /* control counts up: the candidate below is to begin */
  volatile int32_t phase;    /* enum tm_shadow_phase */
  volatile int32_t stop;     /* control: it is to end */
  volatile int32_t pid;      /* 0: there is none */
  volatile uint64_t turns;   /* counts what it does: it moves */
  struct tm_candidate candidate;
  char amount[256];          /* the field whose values diff adds up */
  char out[TM_SHADOW_PATH];  /* the folder of its outputs; empty: they are counted alone */
  int64_t memory;            /* bytes of its own at most */
  double begun_ms;
  char why[2048];            /* ENDED: why */
  int32_t code;              /* and the exit code that says what kind of reason it is; 0: none in particular */
  /* what it tells; edition is odd while it is written */
  volatile uint32_t edition;
  int32_t text_n, json_n;
  char text[TM_SHADOW_TEXT];
  char json[TM_SHADOW_JSON];
  /* what was promoted, in order, which every later load of the run's scripts heeds; control's */
  volatile int32_t adopted_n;
  struct tm_candidate adopted[TM_SHADOW_ADOPTED];
};

struct tm_shared;
struct tm_worker;
struct tm_script;

/* NULL: no address space. Control's. */
struct tm_shadow *tm_shadow_new(void);
/* It has ended, and why; the first reason stays. Whoever ends it. */
void tm_shadow_ended(struct tm_shadow *s, const char *why);

/* One word for a phase. */
const char *tm_shadow_phase_name(int32_t phase);

/* The options by which the run's scripts are loaded: with what was promoted; of a candidate, with that too. Valid until it is called again. */
const struct tm_options *tm_shadow_options(const struct tm_options *o, const struct tm_shadow *s, int candidate);

/* What it has told, into text and json (TM_SHADOW_TEXT, TM_SHADOW_JSON bytes; one may be NULL): its bytes; -1: it is being written, ask again. */
int32_t tm_shadow_told(const struct tm_shadow *s, char *text, char *json);

/* ---- the worker ---- */

/* 1: control asks for a candidate that has not begun. */
int tm_shadow_is_asked(const struct tm_worker *w);
/* It cannot begin: why. */
void tm_shadow_refuse(struct tm_worker *w, const char *why);
/* Between two batches, nothing on its way, sinks have what is theirs: forks. 0, also where it cannot begin, which is told in the block; -1 err:
 * the run cannot go on. Returns in the worker only. */
int tm_shadow_fork(struct tm_worker *w, struct tm_err *err);
/* Has it ended? Then it is waited for, and no more is handed over. Cheap: once a turn. */
void tm_shadow_look(struct tm_worker *w);
/* Another process has the worker's place, and has said that the candidate ended: its process does. */
void tm_shadow_leave(struct tm_worker *w);

/* ---- the candidate (shadow_run.c) ---- */

/* Takes batches until it is to end. Returns why it ended, a text that stays. */
const char *tm_shadow_run(struct tm_worker *w, struct tm_shadow *s);

/* ---- calls into Lua (script_shadow.c) ---- */

struct tm_buf;
struct tm_batch;
/* Which packs the plan has, as text for the candidate; and given to it there. 0, or -1 err. */
int tm_script_packs(struct tm_script *s, struct tm_buf *out, struct tm_err *err);
int tm_script_compare_begin(struct tm_script *s, const struct tm_buf *packs, struct tm_err *err);
/* Decisions of the worker and of its own about one batch. 0, or -1 err. */
int tm_script_compare(struct tm_script *s, const char *live, int32_t live_n, const char *own, int32_t own_n, const struct tm_batch *b, const char *origin,
                      struct tm_err *err);
/* What was found: into text and json. 0, or -1 err. */
int tm_script_compared(struct tm_script *s, struct tm_buf *text, struct tm_buf *json, struct tm_err *err);

#endif
