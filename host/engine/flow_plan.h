/* flow_plan.h - by which names sources, sinks and pipelines find what they were in an earlier process, and what a plan may change.
 *
 * Each has a *key*, made of its kind, its name and, where several have one name, which of them it is. Shared regions are called by keys,
 * so a script may name more pipelines, fewer, or in another order, and each finds what it had. What is defined otherwise under the
 * same name is refused, as is whatever would lose rows: a sink that is gone with rows that wait for it. */
#ifndef TM_ENGINE_FLOW_PLAN_H
#define TM_ENGINE_FLOW_PLAN_H

#include "flow.h"

uint64_t tm_plan_source_key(const struct tm_flows *f, const struct tm_source *s);
uint64_t tm_plan_sink_key(const struct tm_flows *f, const struct tm_sink *s);
uint64_t tm_plan_pipeline_key(const struct tm_flows *f, const struct tm_pipeline *p);
/* Of the next out of p, which writes that sink. */
uint64_t tm_plan_out_key(const struct tm_pipeline *p, const struct tm_sink *s);
/* Of a list of patterns. */
uint64_t tm_plan_paths(const char **paths, int32_t n);

/* All is added, nothing is open. A worker that follows a dead one has the same plan; one that takes up a run that was kept has one that
 * fits: else -1 err, exit code 3 or 6. What is new and what is gone is told. */
int tm_plan_check(struct tm_flows *f, struct tm_err *err);
/* All is open: rows that wait for a sink are where it is written from now, and the plan is kept. 0, or -1 err. */
int tm_plan_kept(struct tm_flows *f, struct tm_err *err);
/* Its pieces. */
void tm_plan_keep(struct tm_flows *f, struct tm_keeper *k);

/* Of the plan that a block keeps: the name of entry i, empty if it is no source and no sink; NULL: there is none. Borrowed from the block. */
const char *tm_plan_place(struct tm_shared *s, int32_t i, int *is_sink, uint64_t *key);

/* The region of tm_flow_region, if it was made. */
void *tm_flow_region_found(struct tm_flows *f, const char *what, uint64_t key, size_t size);

#endif
