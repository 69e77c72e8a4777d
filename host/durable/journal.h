/* journal.h - the journal: epochs as bytes, appended, synced by a helper thread, and read back after a death.
 *
 * What is put between tm_journal_begin and tm_journal_end is one epoch's payload: opaque here (payload.h says what others
 * make of it). Epochs are numbered by one; an epoch is there after a recovery wholly or not at all, and if
 * tm_journal_synced ever said its number, it is there. frame.h draws the files.
 *
 * Who runs it: begin, put, end and close are one thread's, the caller's. All writing and syncing is done by a helper thread
 * with all signals blocked (tm_journal_start), or, in tests, by tm_journal_step, one round a call. Everything that reaches
 * the system goes through the tm_io that was given; memory too.
 *
 * What holds:
 * 1. A segment is synced before the next one gets its first frame: what is not synced lies in the last segment.
 * 2. before_sync of an epoch has returned before the last frame of that epoch is written: an epoch that is found was
 *    preceded by the sync of what it speaks of.
 * 3. After the first failed write or sync nothing is written or synced any more, and synced does not move.
 * 4. Recovery writes the last segment's valid part anew, syncs it and renames it over the old one before anything is added:
 *    bytes that were read but perhaps never reached the disk are not built upon.
 * 5. Where the disk has no room, nothing is lost and nothing has failed: the next segment is asked for ahead, before a byte counts
 *    on it, and what has no room waits in memory.
 *
 *             no room for the next segment        nor for the next frame
 *      GOOD ------------------------------> LOW ------------------------> NONE
 *        ^                                   |                             |
 *        +-----------------------------------+-----------------------------+     room again; tried once a second
 *      any -- a write or sync failed otherwise --> failed, for good
 *
 *    LOW: what is left of the segment being written is used. NONE: no epoch becomes durable, what is put fills the buffer, then
 *    tm_journal_put gives FULL. An epoch of which a part was written is ended when there is room, or dropped by a recovery.
 * Bounded: buffered_max and one piece in memory; segments go when tm_journal_release said what is no longer needed. */
#ifndef TM_DURABLE_JOURNAL_H
#define TM_DURABLE_JOURNAL_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_JOURNAL_OK = 0, TM_JOURNAL_FULL = 1, TM_JOURNAL_FAILED = -1 };
enum tm_journal_room { TM_JOURNAL_ROOM_GOOD, TM_JOURNAL_ROOM_LOW, TM_JOURNAL_ROOM_NONE };

struct tm_journal;

struct tm_journal_options {
  const struct tm_io *io;           /* borrowed for the journal's life */
  const char *dir;                  /* the data folder: there, and locked by the caller; copied */
  uint64_t id;                      /* of the data folder: segments of others are refused */
  int64_t segment_size;             /* bytes; 0: 64 MiB. At least 4 KiB */
  int32_t frame_max;                /* payload of a frame; 0: 1 MiB, or a quarter of a small segment */
  int64_t buffered_max;             /* bytes put and not yet written; 0: 64 MiB */
  /* Called on the writing thread before the last frame of an epoch is written and synced; `epoch` is the newest one that is
   * about to be written, all before it included. 0, or -1 with err: then the journal has failed. NULL: nothing to do. */
  int (*before_sync)(void *ctx, uint64_t epoch, struct tm_err *err);
  void *ctx;
};

/* ---- reading ---------------------------------------------------------------------- */

/* One segment as a scan found it. */
struct tm_segment {
  uint64_t number;
  uint64_t salt;
  int64_t size;                     /* of the file */
  int64_t end;                      /* behind the last valid frame; 0: its head is not valid */
  uint64_t frames;
  uint64_t sequence_first;          /* of its frames; 0: there are none */
  uint64_t epoch_first, epoch_last; /* of its frames; 0: there are none */
};

/* Frames of an epoch that never ended, because its writer did: by sequence, both included. */
struct tm_journal_dropped {
  uint64_t first, last;
};

/* What a scan of all segments found. */
struct tm_journal_scan {
  struct tm_segment *segments;      /* by number; memory of io */
  int64_t segments_n, segments_cap;
  struct tm_journal_dropped *dropped;  /* by sequence; memory of io */
  int64_t dropped_n, dropped_cap;
  uint64_t epoch_first, epoch_last; /* the complete epochs; epoch_last 0: none */
  uint64_t sequence_last;           /* of the last valid frame; 0: none */
  uint64_t durable_upto;            /* proven by what lies there; at most epoch_last */
  int64_t tail_segment;             /* index of the last segment with a valid frame; -1: none */
  int64_t tail_end;                 /* in it: behind the last complete epoch or mark; what follows never happened */
  uint64_t tail_sequence;           /* of the last frame before tail_end */
  int64_t torn_bytes;               /* behind tail_end in valid frames or recognisable parts of them: cut off */
  int64_t bytes;                    /* of valid frames */
  int closed;                       /* 1: the last frame is a mark; the journal was closed in order */
  int witness;                      /* what the file 'durable' is (witness.h) */
  int damaged;                      /* 1: what lies there is less than was durable; damage says where and what to do */
  uint64_t damage_segment;
  int64_t damage_at;
  char damage[512];
};

/* Reads all segments of the folder and judges them; writes nothing and needs no lock (of a journal in use it sees all that
 * is durable, and perhaps more). 0, also when damage was found (scan->damaged); -1 with err: it could not be read, or no
 * memory. */
int tm_journal_scan(const struct tm_io *io, const char *dir, uint64_t id, struct tm_journal_scan *scan, struct tm_err *err);
void tm_journal_scan_fini(const struct tm_io *io, struct tm_journal_scan *scan);

/* Gets an epoch's payload in pieces, in order; last is 1 with the last piece (which may be empty). 0, or -1 with err to stop. */
typedef int tm_journal_piece(void *ctx, uint64_t epoch, const void *piece, int64_t n, int last, struct tm_err *err);

/* Gives the payloads of the complete epochs in (after, upto] of what was scanned, in order. Every frame's CRC is looked at
 * again. 0, or -1 with err: the callback's, or the files changed since, or the journal does not reach back to `after`. */
int tm_journal_replay(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_journal_scan *scan, uint64_t after,
                      uint64_t upto, tm_journal_piece *piece, void *ctx, struct tm_err *err);

/* Refuses a journal that is damaged, or that ends before `after`, the epoch of a snapshot: -1 with err, which names the repair
 * command (exit code 1); else 0. */
int tm_journal_refuse(const char *dir, const struct tm_journal_scan *scan, uint64_t after, struct tm_err *err);

/* Scan and replay of all complete epochs after `after`. Refuses damage (exit code 1, names the repair command). The scan is
 * the caller's to end, and what tm_journal_open wants; on -1 there is nothing to end. */
int tm_journal_recover(const struct tm_io *io, const char *dir, uint64_t id, uint64_t after, tm_journal_piece *piece, void *ctx,
                       struct tm_journal_scan *scan, struct tm_err *err);

/* What a repair found and gave up. */
struct tm_journal_loss {
  int damaged;                      /* 0: there is nothing to repair */
  char what[512];
  uint64_t kept;                    /* the last epoch that is taken up after the repair */
  uint64_t lost;                    /* the last one known to have been durable */
  int64_t segments;                 /* renamed to lost.N */
  int manifest;                     /* 1: the manifest of the snapshots is (to be) made anew */
};

/* Looks for damage that refuses a start, and, if `accept` is 1, gives up what lies behind it: the manifest is made from the
 * snapshots that are whole, the damaged segment keeps its valid part, those behind it become lost.N. The folder is locked by
 * the caller. 0, or -1 with err. */
int tm_journal_repair(const struct tm_io *io, const char *dir, uint64_t id, int accept, struct tm_journal_loss *loss, struct tm_err *err);

/* ---- writing ---------------------------------------------------------------------- */

/* Takes the journal up behind what was scanned: refuses damage, writes the tail anew, removes what lies behind it, has a
 * segment to write to. The next epoch is scan->epoch_last + 1; a journal that ends before `after` (the snapshot's epoch, 0 for
 * none) is refused. NULL with err. */
struct tm_journal *tm_journal_open(const struct tm_journal_options *o, const struct tm_journal_scan *scan, uint64_t after,
                                   struct tm_err *err);
/* Starts the helper thread: 0, or -1 with err. Without it somebody calls tm_journal_step. */
int tm_journal_start(struct tm_journal *j, struct tm_err *err);
/* Ends the thread until tm_journal_start is called again, maybe in a child of this process; what was put is not lost. */
void tm_journal_pause(struct tm_journal *j);
/* Descriptors that a child needs to go on: how many, at most `most`. */
int tm_journal_fds(const struct tm_journal *j, int *fds, int most);
/* Writes and syncs all that ended and syncs it, adds the mark, ends the thread, frees j; an epoch that was begun and did not
 * end is dropped. 0, or -1 with err when the journal had failed or fails now, or the disk has no room for all that ended. */
int tm_journal_close(struct tm_journal *j, struct tm_err *err);
/* Frees j and its thread without writing anything more: what a process does that goes away for another reason. */
void tm_journal_abandon(struct tm_journal *j);

/* Begins an epoch: OK, FULL (nothing begun: wait for the descriptor), FAILED. */
int tm_journal_begin(struct tm_journal *j);
/* Copies n bytes to the epoch: OK; FULL: more than buffered_max wait to be written, nothing was taken: wait for the
 * descriptor and put the same piece again; FAILED. */
int tm_journal_put(struct tm_journal *j, const void *bytes, int64_t n);
/* Ends the epoch: its number (1 ..), or 0 when the journal has failed. Never FULL. */
uint64_t tm_journal_end(struct tm_journal *j);

/* The last epoch that is durable; at any time, from any thread. */
uint64_t tm_journal_synced(const struct tm_journal *j);
/* 1 when the journal has failed, with what happened and what to do in err (may be NULL). At any time, from any thread. */
int tm_journal_failed(struct tm_journal *j, struct tm_err *err);
/* What the disk's room allows; if not GOOD with what is missing and what to do in err (may be NULL). At any time, from any thread. */
enum tm_journal_room tm_journal_room(struct tm_journal *j, struct tm_err *err);
/* Readable when synced moved, when room was made after FULL, when the disk's room changed, when it failed. An eventfd, non-blocking: the caller reads its
 * 8 bytes. -1 without the helper thread. */
int tm_journal_fd(const struct tm_journal *j);
/* Waits until all ended epochs are durable: OK, FAILED, or FULL as soon as the disk has no room for them (what is not durable yet may
 * become so later). With the helper thread only. */
int tm_journal_wait(struct tm_journal *j);

/* Epochs up to this one are no longer needed (the older of two snapshots has them): their segments are recycled or removed
 * by the helper thread. */
void tm_journal_release(struct tm_journal *j, uint64_t epoch);
/* Bytes of frames written since the journal held `epoch` as its last one, roughly (by segments): for tm_snapshot_due. */
int64_t tm_journal_bytes_after(struct tm_journal *j, uint64_t epoch);

/* One round of what the helper thread does: writes all that was put, syncs if an epoch ended, prepares the next segment,
 * recycles. 1 something was done, 0 there was nothing to do or no room on the disk, -1 it has failed. Never together with
 * tm_journal_start. */
int tm_journal_step(struct tm_journal *j);

#endif
