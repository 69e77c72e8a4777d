/* summary.h - what a run says at its end, on stderr: for people, or as one line of JSON.
 *
 * Reads the shared block after the last worker is gone; a worker that died may have left half a sentence there,
 * so texts are taken up to their array's end and control characters are shown, not sent. */
#ifndef TM_ENGINE_SUMMARY_H
#define TM_ENGINE_SUMMARY_H

#include <stdint.h>

#include "../base/buf.h"
#include "shared.h"

struct tm_summary {
  const struct tm_shared *shared;
  uint64_t wall_ns;       /* from start to end, loading included */
  uint64_t cpu_ms;        /* of all workers, user and system */
  uint64_t memory_peak;   /* of the largest worker, bytes resident; 0: not known */
  int exit_code;
};

/* Appends the summary: 80 columns, or one line of JSON. 0, or -1 out of space (the buffer then takes no more). */
int tm_summary_text(const struct tm_summary *sum, struct tm_buf *out);
int tm_summary_json(const struct tm_summary *sum, struct tm_buf *out);
/* Members that tell of the run alone: counters, times, rows, states, rules, watermarks, failures; into an object that is open. */
void tm_summary_json_parts(const struct tm_shared *s, struct tm_buf *out);
/* The same for people, without times. */
void tm_summary_text_parts(const struct tm_shared *s, struct tm_buf *out);
/* The same to stderr, in one write. */
void tm_summary_print(const struct tm_summary *sum);
void tm_summary_print_json(const struct tm_summary *sum);

/* What failed, of the summary for people: by pipeline, step and cause. Nothing if nothing did. */
void tm_summary_print_failures(const struct tm_shared *s);

#endif
