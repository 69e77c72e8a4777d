/* sweep.h - keys that are of no use any more are removed by the events of others: two are looked at for a new key, one for eight other
 * events, many in one go. So a state holds about as many useless keys as others at most, and none of them costs anything. */
#ifndef TM_AGGREGATE_SWEEP_H
#define TM_AGGREGATE_SWEEP_H

#include "../state/table.h"

/* The event at hand came to `record`, which is not removed. newest: which double of a record is the time of its newest event; those that
 * are `keep` ms or more before the watermark go. cursor and owed are the sweep's own. 0 or a code. */
int32_t tm_sweep_share(struct tm_state *s, struct tm_state_cursor **cursor, uint32_t *owed, const void *record, int is_new, double watermark,
                       double keep, int32_t newest);

#endif
