/* rules_stats.h - what the rules of a running host did, and cost: JSON and text of `tidemill rules stats`. */
#ifndef TM_ENGINE_RULES_STATS_H
#define TM_ENGINE_RULES_STATS_H

#include "status.h"

/* As the worker told it last (tm_status.told: just now). One object and a newline, or lines: 0, or -1 no memory. */
int tm_rules_json(const struct tm_status *s, struct tm_buf *out);
int tm_rules_text(const struct tm_status *s, struct tm_buf *out);

#endif
