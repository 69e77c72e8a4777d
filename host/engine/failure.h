/* failure.h - the table of failed events in the shared block: by pipeline, step and cause, with the first example.
 *
 * The worker adds to it, the summary prints it. It has TM_SHARED_FAILURES entries; what finds none is counted together. */
#ifndef TM_ENGINE_FAILURE_H
#define TM_ENGINE_FAILURE_H

#include "shared.h"

/* Counts a failed event and returns its entry; texts are cut to the entry's length. Part of a change under way (base/undo.h): the one that takes
 * the event back, or passes over a line. */
int32_t tm_failure_count(struct tm_shared *sh, const char *pipeline, const char *step, const char *code, const char *example);

/* The same, of an event that belongs to that entry. */
void tm_failure_again(struct tm_shared *sh, int32_t entry);

#endif
