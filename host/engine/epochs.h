/* epochs.h - a run that is kept in a data folder: what has changed goes there, epoch by epoch, and comes back at the start.
 *
 *   batches ... | cut | batches, a slice copied behind each ... copied | written, synced by the journal's thread | durable
 *
 * A *cut* is made between two batches of all islands, when no event is on its way: then what the run is lies in the shared block, in
 * the arena of keyed state (state/arena.h), and in one text of the library's. What of these has changed since the cut before is one epoch of the
 * journal (durable/journal.h). A process that starts puts back the newest snapshot and the epochs behind it, at the same
 * addresses, and goes on there; so does a worker that follows a dead one. Files that sinks wrote behind the last durable epoch
 * are cut back, and the same rows come again. */
#ifndef TM_ENGINE_EPOCHS_H
#define TM_ENGINE_EPOCHS_H

#include "../base/err.h"
#include "../command/options.h"
#include "flow.h"

struct tm_epochs;
struct tm_script;

/* Where the shared block lies in a process that keeps its run. */
void *tm_epochs_shared_at(void);

/* The worker: puts back what the folder of --data holds, also into the block of a worker that died. NULL and err. */
struct tm_epochs *tm_epochs_open(const struct tm_options *o, struct tm_shared *shared, struct tm_err *err);
/* 1: the folder is only looked into (`tidemill state`): keyed state and what the library keeps are put back, nothing is read or written. */
int tm_epochs_looks(const struct tm_epochs *e);
/* 1: it is looked into, and the run goes on from before the decisions that are asked about (`tidemill why`), with sinks of its own. */
int tm_epochs_goes_again(const struct tm_epochs *e);
/* 1: something was put back. */
int tm_epochs_found(const struct tm_epochs *e);
/* 1: the run that was put back had come to the end of its input. */
int tm_epochs_ended(const struct tm_epochs *e);
/* The generation of scripts that the run which was put back had; 0: it is not known. */
int32_t tm_epochs_generation(const struct tm_epochs *e);
/* The log of changes of all keyed state, put back or new. NULL and err. */
struct tm_changes *tm_epochs_changes(struct tm_epochs *e, struct tm_budget *budget, double seed, struct tm_err *err);
/* Scripts are loaded, nothing is open yet: sources and sinks learn that what they find is another process's. 0, or -1 err. */
int tm_epochs_prepare(struct tm_epochs *e, struct tm_flows *f, struct tm_script *script, struct tm_err *err);
/* All is open: the library gets back what it kept; of a new run the first epoch is made durable, so that it is known what files held
 * before anything was written. From here on epochs may be cut. 0, or -1 err. */
int tm_epochs_begin(struct tm_epochs *e, struct tm_err *err);

/* 1: the folder's disk has no room for the epoch under way. Nothing is read until there is, but by a run that is to end. */
int tm_epochs_full(const struct tm_epochs *e);
/* 1: an epoch should be cut as soon as no batch is at hand. */
int tm_epochs_due(const struct tm_epochs *e);
/* The clock at which it will be, if anything has changed; 0: nothing has, or the epoch before is not durable yet: then tm_epochs_fd tells. */
uint64_t tm_epochs_due_ns(const struct tm_epochs *e);
/* Readable when an epoch has become durable, or cannot; -1: there is nothing to wait for. What is in it is taken away by tm_epochs_hear. */
int tm_epochs_fd(const struct tm_epochs *e);
void tm_epochs_hear(struct tm_epochs *e);
/* Cuts. ended: the input has come to its end. 0, or -1 err. */
int tm_epochs_cut(struct tm_epochs *e, int ended, struct tm_err *err);
/* Copies a slice of what was cut: 1 there is more, 0 there is none, -1 err: the folder cannot be written, and the run has to end. */
int tm_epochs_step(struct tm_epochs *e, struct tm_err *err);
/* Nothing is read any more: rows that sinks hold back for their epoch get it. 0, or -1 err. */
int tm_epochs_cover(struct tm_epochs *e, struct tm_err *err);
/* Waits until the epoch that was ended last is durable, so that nobody syncs a sink that is about to be closed: 0, or -1 err. */
int tm_epochs_settle(struct tm_epochs *e, struct tm_err *err);
/* Waits until all that was cut is durable: 0, or -1 err. */
int tm_epochs_finish(struct tm_epochs *e, struct tm_err *err);

/* 1: the last epoch is durable, and none is under way. */
int tm_epochs_settled(const struct tm_epochs *e);
/* Another process is about to go on with this (reload.h): nothing writes the journal until wake. When settled. */
void tm_epochs_rest(struct tm_epochs *e);
int tm_epochs_wake(struct tm_epochs *e, struct tm_err *err);
/* In that process: its descriptors, at most `most`, and how many; and what it keeps from here on, before that is opened. 0, or -1 err. */
int tm_epochs_fds(const struct tm_epochs *e, int *fds, int most);
int tm_epochs_heir(struct tm_epochs *e, struct tm_flows *f, struct tm_script *script, struct tm_err *err);

#endif
