/* source.h - where bytes come from: files in name order, standard input, a generator, a link from another pipeline.
 *
 * A source reads blocks into its buffer and cuts decoded batches from it. It knows its position (file, byte, line)
 * and does nothing until asked, so pausing it is not asking. Position, buffer and batch lie in memory that outlives
 * a worker: the next one takes up the batch that was at hand (tm_source_resume). source.c opens and reads, source_cut.c cuts.
 *
 * Lines that are records of several (codec/record.h) are held until it is known where the last one ends. What is held is text that was not
 * consumed, so no death loses it; of live sources it is cut as it is when nothing came for the record's timeout. */
#ifndef TM_IO_SOURCE_H
#define TM_IO_SOURCE_H

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"
#include "../base/undo.h"
#include "../codec/csv.h"
#include "../codec/fluent.h"
#include "../codec/format.h"
#include "../event/fields.h"
#include "input_ring.h"
#include "unpack.h"

enum { TM_BLOCK = 256 * 1024 };   /* bytes read at a time */

enum tm_source_kind { TM_SOURCE_FILE, TM_SOURCE_STDIN, TM_SOURCE_GENERATE, TM_SOURCE_LINK, TM_SOURCE_EVERY, TM_SOURCE_LOG };

/* CUT: what was read ends in the middle of something; an unfinished line is no event */
enum tm_source_eof { TM_EOF_NOT = 0, TM_EOF_REACHED, TM_EOF_EMPTY, TM_EOF_GONE, TM_EOF_CUT };

/* What the first bytes of a file or stream told. */
enum tm_source_look { TM_LOOK_NOT = 0, TM_LOOK_PLAIN, TM_LOOK_PACKED };

/* How far a source is; survives the worker. Text in buf: [head, tail) is read and not yet decoded; a batch lies in
 * [batch_off, batch_off + batch_len) until it is drained. */
struct tm_source_state {
  int32_t file;              /* index into paths */
  int32_t eof;               /* the file at hand is read to its end: enum tm_source_eof */
  int32_t done;              /* nothing will come any more */
  int32_t looked;            /* enum tm_source_look */
  int32_t begun;             /* the start of the text was looked at (byte order mark) */
  int32_t headed;            /* what it begins with was read (tm_format.head) */
  int32_t skipping;          /* inside an event that is too long: bytes are dropped until its end */
  int32_t head;
  int32_t tail;
  int32_t active;            /* a batch is at hand */
  int32_t firing;            /* it is a pseudo batch of the end of input (tm_flow.firing) */
  int32_t settling;          /* it is a pseudo batch behind which what is due by the clock is done (tm_flow_settle) */
  int32_t batch_off;
  int32_t batch_len;
  int32_t batch_seen;        /* bytes that were looked at to cut it: what stands behind it may decide what in it is an event */
  int32_t batch_final;       /* they end the file, or what is held of a record */
  int32_t batch_rows;        /* of what was cut so many rows are the batch; 0: all */
  int32_t batch_long;        /* the batch is the one bad slot of an event that is too long */
  int32_t opened;            /* `base` is known */
  int32_t reading;           /* bytes that a read of a pipe at hand takes for certain, if it takes any; 0 none at hand */
  int64_t base;              /* standard input: where it stood when the run began */
  int64_t offset;            /* bytes of that file read into buf */
  double bytes;              /* bytes read in all */
  double good;               /* events in all batches so far */
  double slots;              /* slots of all batches so far, those of the end of input included */
  double line;               /* place of head: number of the line, from 1; msgpack: of the byte, from 0 */
  double batch_line;
  double generated;          /* rows taken from a generator, or of a clock */
  int64_t began_ms;          /* a clock's: when it began, by the calendar and by the clock that never jumps */
  uint64_t began_ns;
  uint64_t read_ns;          /* clock when the newest bytes arrived */
  struct tm_skip skip;       /* while skipping */
  struct tm_fluent_at at;    /* where in a message of Fluent Bit head is, and where the batch began */
  struct tm_fluent_at batch_at;
  int32_t over;              /* files that take turns (turns.h) and are read to their end; all: nothing more is read */
  int32_t broken;            /* input of this source could not be read to its end */
  int32_t head_n;            /* bytes the file at hand begins with that are known by their hash: whether it is still that file */
  uint64_t head_hash;
  int64_t made;              /* compressed: bytes of text made of the file at hand */
  int64_t drop;              /* of these, to be made again and dropped, as another process had them */
  char unread[16];           /* what a read at hand was preset with (see `reading`) */
};

struct tm_turns;
struct tm_log_source;

/* Of an input that another process reads: what that knew of it when a batch began. */
struct tm_source_seen {
  uint64_t key;              /* the source's */
  double unbegun[2];         /* tm_source_unbegun, without and with `begins` */
  int32_t part;              /* tm_source_part */
  int32_t over;              /* tm_source_parts_over */
  int32_t live;              /* its batches are of one that is taken as it comes */
  int32_t file;              /* the one at hand: those in front of it are over */
  int32_t done;
  int32_t pad;
  double quiet_ms;           /* since when it has been asked and had nothing; 0: that is not known of its files; -1: it had something, or was not asked */
};

struct tm_source {
  int32_t index;
  uint64_t key;              /* its own, from its name: the same in every process that keeps a run */
  enum tm_source_kind kind;
  char name[256];
  char **paths;              /* in name order; patterns and folders until the source is opened (paths.h) */
  int32_t paths_n;
  int paths_shared;          /* their texts lie in shared memory */
  int found;                 /* some were found by a pattern or in a folder: paths[i][-1] tells (TM_PATH_FOUND) */
  int live;                  /* taken as it comes: a pipe, terminal or socket; asked whether it has something before a read */
  int fd;                    /* -1: not open */
  int32_t max_event;
  int32_t last_rows;         /* slots of the batch before */
  int32_t whole;             /* bytes a full batch will take, about; 0 not known yet */
  struct tm_fields *fields;  /* owned by the worker */
  struct tm_batch *batch;    /* shared */
  struct tm_source_state *state;  /* shared */
  const struct tm_io *io;
  struct tm_undo *undo;      /* shared */
  int restored;              /* its state is what another process left: the file at hand must be the same */
  int fifo;                  /* fd is a pipe */
  struct tm_input_ring *ring; /* of a run that is kept, live: what is read goes there first; NULL: it does not */
  int readable;              /* live: set by who waits for it; a read, or the end, is there */
  struct tm_buf buf;         /* over shared memory; TM_PAD bytes in front of data too */
  struct tm_follow *follow;  /* files that grow (follow.h); NULL: they are read to their end */
  struct tm_follow_state *follow_state;  /* shared; not NULL: they are to be followed */
  /* is that file written by this run? */
  int (*is_written)(struct tm_source *s, uint64_t dev, uint64_t ino);
  int blocks;                /* read of the file at hand, when others wait */
  struct tm_log_source *log; /* of an event log (log_source.h) */
  int paced;                 /* live only as it keeps to its events' times: what it reads was written long ago */
  int64_t period_ms;         /* a clock's */
  double count;              /* its ticks at most; 0 no end */
  double rate;               /* events a second at most; 0 no bound */
  int32_t piece;             /* with a rate, turns, or one: bytes that are cut at a time */
  int32_t time_field;        /* where its events have their time, as far as that is known: id of the field; 0 not */
  int32_t time_unit;         /* enum tm_time_unit */
  struct tm_turns *turns;    /* it takes turns with other inputs; NULL: it goes when it is asked */
  int turns_of_files;        /* so do its files */
  int one;                   /* batches of one event */
  double quiet_ms;           /* live: since then it was asked again and again and had nothing; 0: it had, or was not asked */
  uint64_t next_ns;          /* not to be asked before, for the rate's sake */
  struct tm_unpack *unpack;  /* shared; NULL until something compressed is met */
  /* gives the shared memory for it, and its size: made when first asked for; NULL there is no room */
  struct tm_unpack *(*unpack_get)(struct tm_source *s, size_t *size);
  void *owner;               /* for unpack_get */
  int closing;               /* what was read is gone through, and nothing further is read */
  int32_t least;             /* bytes that the event at head takes at least; 0 not known */
  int32_t need;              /* bytes to be there before the event at head is looked at again */
  int ends_held;             /* the record that is held is cut as it is */
  int parts_told;
  int given_up_told;
  double lines_blank;        /* counted here, taken by the worker; so are records_cut, files_empty and files_gone */
  double records_cut;
  int32_t files_empty;
  int32_t files_gone;        /* found when the run began, not there any more when it was their turn */
  int empty_told;
  const struct tm_source_seen *seen;  /* it is read by another process, and is not open here; NULL: it is read here */
  const char *seen_name;     /* where the batch at hand came from, then */
  const char *seen_over;     /* by file: 1 it is read to its end; NULL: they go one after the other */
  int32_t seen_files;
};

/* What reading brought. */
/* LATER: it has events, and it is another source's turn (turns.h). */
enum tm_source_got { TM_SOURCE_BATCH, TM_SOURCE_WAIT, TM_SOURCE_MORE, TM_SOURCE_END, TM_SOURCE_LATER };

/* Its state is what another process left: clocks begin anew, what is compressed is read again. Before it is opened. */
void tm_source_fresh(struct tm_source *s);
/* Opens the first file and looks for the others, so that a missing one is told at load; -1 and err. */
int tm_source_open(struct tm_source *s, struct tm_err *err);
/* Moves the text that is left to the front where that is worth it or needed. Not while a batch is at hand. */
void tm_source_make_room(struct tm_source *s);
/* Reads one block if there is room: bytes read, 0 nothing now (live: wait; file: it has ended), -1 err. */
int64_t tm_source_fill(struct tm_source *s, struct tm_err *err);
/* 1 if there may be more text without a read: compressed input makes many bytes of few, and another worker may have read some. */
int tm_source_pending(const struct tm_source *s);
/* Nothing more will be read: what was read of an unfinished line is dropped. Returns its bytes. */
int32_t tm_source_stop(struct tm_source *s);
/* Cuts the next batch from what was read: BATCH one is at hand; MORE text is needed; LATER others have their turn; END all is decoded. Changes
 * *s->state in several places, which its caller has kept (undo.h). */
enum tm_source_got tm_source_next(struct tm_source *s);
/* The clock at which it is to be asked, though nothing becomes readable; 0 none. */
uint64_t tm_source_due(const struct tm_source *s);
/* 1: it cannot be read before an epoch is durable. */
int tm_source_full(const struct tm_source *s);
/* What becomes readable when a live source has something; -1 nothing does. */
int tm_source_fd(const struct tm_source *s);
/* The batch at hand is drained. */
void tm_source_batch_done(struct tm_source *s);
/* After a death: takes up a read that was cut off, and decodes the batch that was at hand again from the same bytes.
 * The source is open. */
void tm_source_resume(struct tm_source *s);
/* Decodes the batch at hand again, of the same bytes. */
void tm_source_cut_again(struct tm_source *s);
/* Other text is at the head: what was learnt of the event there is forgotten. */
void tm_source_forget(struct tm_source *s);
/* How lines are records; NULL: they are not. */
static inline struct tm_record *tm_source_record(const struct tm_source *s) { return s->batch->csv != NULL ? s->batch->csv->record : NULL; }
/* Whole lines of a record are at the head of which nothing tells yet whether it goes on. */
static inline int tm_source_holds(const struct tm_source *s) {
  const struct tm_record *record = tm_source_record(s);
  return record != NULL && record->held > 0;
}
/* What a live source holds is the next batch, as it is: 1; 0: nothing is held. */
int tm_source_end_held(struct tm_source *s);
/* Nothing more will come: reads what a followed file holds again. 1; 0: none holds anything. */
int tm_source_read_held(struct tm_source *s);
/* Which of the source's files the batch at hand came from. */
int32_t tm_source_part(const struct tm_source *s);
/* The name of that file, or the source. */
const char *tm_source_part_name(const struct tm_source *s, int32_t part);
/* The file at hand is closed, and what was learnt of its text forgotten. */
void tm_source_leave(struct tm_source *s);
/* The name of the file (or the source) the batch at hand came from. */
const char *tm_source_origin(const struct tm_source *s);

#endif
