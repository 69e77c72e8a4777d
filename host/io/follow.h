/* follow.h - files that grow: read to their end, and on when there is more, for ever (`follow = true`).
 *
 * A file is its inode, whatever it is called: one that is renamed keeps its place, and what then gets its name is another
 * file, read from its start. Each has its own position, at the start of a line: what of a line is there when a file is
 * left is read again with its rest, so lines of several files never mix.
 *
 *   renamed, deleted   read to its end; given up when nothing has come for TM_FOLLOW_QUIET_S, with its last line
 *   truncated          (copytruncate) read anew from its start: it is shorter than it was, or the last bytes read
 *                      are not before the position any more
 *   new                what patterns and folders lead to is looked for again
 *   compressed         left out: it is a copy, most likely of what was read
 *   silent             the last record of several lines (codec/record.h) is ended when nothing came for its timeout. Until then its text is
 *                      kept while no other file has news; else it is read again, and lost if the file is truncated first
 *
 * The table lies in shared memory. A new worker finds the files again by name, and those that were renamed by inode in their
 * folder; only what was deleted and not yet read is lost with the worker that held it open, which is told.
 * inotify wakes; where it cannot, sizes are looked at every TM_FOLLOW_POLL_MS, and every second in any case. */
#ifndef TM_IO_FOLLOW_H
#define TM_IO_FOLLOW_H

#include "source.h"

enum { TM_FOLLOW_MAX = 1000, TM_FOLLOW_PATH = 1024, TM_FOLLOW_QUIET_S = 10, TM_FOLLOW_POLL_MS = 250 };

struct tm_follow_file {
  int32_t used;
  int32_t gone;              /* its name leads elsewhere, or nowhere */
  uint64_t dev, ino;
  int64_t offset;            /* start of the first line that was not cut */
  int64_t seen;              /* what was there when it was left: no more than that is nothing new */
  double line;
  int32_t begun;             /* as in struct tm_source_state; so are skipping, skip and at */
  int32_t looked;
  int32_t skipping;
  int32_t left_out;          /* compressed, or it stopped making sense */
  int32_t held;              /* behind offset are whole lines of a record that may go on (codec/record.h) */
  struct tm_skip skip;
  struct tm_fluent_at at;
  int64_t last_at;           /* where the bytes end that are known: in front of them it has not been written anew */
  int32_t last_n;            /* bytes known */
  char last[16];
  char path[TM_FOLLOW_PATH];
};

struct tm_follow_state {
  int32_t at;                /* the file at hand, from 1; 0 none */
  int32_t next;              /* whose turn it is to be looked at */
  struct tm_follow_file files[TM_FOLLOW_MAX];
};

struct tm_follow;

/* Finds the files for the first time, or again after a death. NULL and err. */
struct tm_follow *tm_follow_open(struct tm_source *s, struct tm_follow_state *state, struct tm_err *err);
/* Takes a file in which there is something new: s->fd and the position in s->state are its; 1, or 0 there is none, -1 err. ENDS: a
 * file stays at hand, and the record it holds has ended, as nothing has come for its timeout, or it was truncated. */
enum { TM_FOLLOW_ENDS = 2 };
int tm_follow_pick(struct tm_source *s, struct tm_err *err);
/* Takes a file that holds a record, for the last time: how many bytes of it were read before; 0 there is none. */
int64_t tm_follow_pick_held(struct tm_source *s);
/* What there is of the file at hand is read: 1 it was left, 0 it is final, its last line as it is (then tm_follow_done). */
int tm_follow_leave(struct tm_source *s);
/* Something of the file at hand was cut since it was taken: 1. If not, it would be read in vain again and again. */
int tm_follow_advanced(const struct tm_source *s);
/* As leave, but it stays at hand until there is something new, with the record it holds: 1; 0 it is final. */
int tm_follow_linger(struct tm_source *s);
int tm_follow_lingers(const struct tm_follow *f);
/* The file was taken as nothing has come behind the record it holds for its timeout, and still nothing has. */
int tm_follow_is_silent(const struct tm_source *s);
/* The file at hand is cut to its end, or nothing behind what was cut makes sense. Part of a change under way that has kept *s->state. */
void tm_follow_done(struct tm_source *s);
/* The file at hand is compressed: it is left out. */
void tm_follow_refuse(struct tm_source *s);
/* Descriptor that is readable when something happens; -1 none. */
int tm_follow_fd(const struct tm_follow *f);
/* The clock at which it wants to be asked, whatever happens. */
uint64_t tm_follow_due(const struct tm_source *s);
/* The name of the file at hand, NULL none. */
const char *tm_follow_name(const struct tm_follow *f);
/* Is that file one of them? */
int tm_follow_has(const struct tm_follow *f, uint64_t dev, uint64_t ino);

#endif
