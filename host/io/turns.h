/* turns.h - bounded inputs take turns: the one whose next event is oldest goes first, so that results do not depend on which input
 * is read when, and windows close as time passes through all of them.
 *
 * A source takes turns if it is known from which field its events have their time. Of several sources the worker says up to
 * which time one may go (`upto`); of several files of one source each has a place of its own, kept here, and the one with
 * the oldest next event is at hand. Events without a time go with the one before them. Equal times: by name.
 *
 * Files of one source are still read one after the other where a place in the middle cannot be gone to: compressed ones, pipes,
 * records of several lines, messages of Fluent Bit. */
#ifndef TM_IO_TURNS_H
#define TM_IO_TURNS_H

#include "../base/keep.h"
#include "source.h"

/* Where a file stands while another one has its turn; shared. */
struct tm_turn_file {
  int64_t offset;            /* of its next event's text */
  double line;               /* place of it */
  int32_t looked;            /* as in tm_source_state */
  int32_t begun;
  int32_t headed;
  int32_t head_len;          /* bytes of what it begins with that is no event: read again at each turn */
  int32_t gave;              /* events of it were cut */
  int32_t over;              /* it is read to its end */
};

/* Makes a source take turns by its time_field. files: shared memory, one a path; NULL: its files go one after the other. 0, or -1
 * no memory. */
int tm_turns_begin(struct tm_source *s, struct tm_turn_file *files);
void tm_turns_free(struct tm_turns *t);
/* What of it must be kept for a later process. */
void tm_turns_keep(const struct tm_source *s, struct tm_keeper *k);
/* Can its events be cut anywhere? And may its files take turns, their paths being known? */
int tm_turns_possible(const struct tm_source *s);
int tm_turns_of_files(const struct tm_source *s);
/* Before a cut: BATCH the file whose turn it is is at hand; MORE it is now, nothing of it was read; LATER it is another source's turn. */
enum tm_source_got tm_turns_pick(struct tm_source *s);
/* How many of the rows that were just cut may go, of the first `most`. */
int32_t tm_turns_rows(struct tm_source *s, int32_t most);
/* The file at hand is over: 1 another one is at hand, 0 there is none. */
int tm_turns_over(struct tm_source *s);
/* What the file at hand begins with was read. */
void tm_turns_headed(struct tm_source *s);
/* A file was opened in the middle: what it begins with is read again. 0, or -1 err. */
int tm_turns_head(struct tm_source *s, struct tm_err *err);
/* Time of the source's next event: NaN not known. */
double tm_turns_time(const struct tm_source *s);
/* Up to this time its events may go; too: also those of that time. */
void tm_turns_upto(struct tm_source *s, double upto, int too);
/* The least time at which a partition of the source begins of which nothing was cut: +inf there is none, -inf not known. begins:
 * a batch of it is being begun. */
double tm_source_unbegun(const struct tm_source *s, int begins);
/* Is file `part` of the source read to its end? How many are? */
int tm_source_part_over(const struct tm_source *s, int32_t part);
int32_t tm_source_parts_over(const struct tm_source *s);

#endif
