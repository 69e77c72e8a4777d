/* out.h - the rows of one pipeline for one sink (struct tm_out of abi.h).
 *
 * Loops append through the tm_ffi_out_ functions; the worker empties the buffer between calls into Lua and takes
 * back the rows of an event that failed. The buffer is a fixed region given by the worker, which also owns
 * `events`; a tm_out owns nothing. One thread.
 *
 * tm_out.event is the row (of the batch at hand) whose rows are being written; entries of `events` name the slot of
 * the source batch it came from, and neighbours of the same slot share one entry. TM_ROW_EMPTY is no event: raw and select
 * give its row to the event at hand, which tm_ffi_out_begin has named.
 *
 * A tm_out outlives the process that fills it, which may be killed at any instruction: taking back the rows of the event
 * at hand then leaves what was there before the event. That depends on the order of stores (tests/unit/test_out_deaths.c). */
#ifndef TM_CODEC_OUT_H
#define TM_CODEC_OUT_H

#include "../abi_c.h"

/* `data` has cap + TM_PAD bytes and never moves; `events` has TM_BATCH_ROWS entries. An event never needs more than
 * max_bytes, so with cap >= soft + max_bytes no row fails for lack of room while the loop heeds tm_flow.stop. */
void tm_out_init(struct tm_out *o, char *data, int32_t cap, int32_t soft, int32_t max_rows, int32_t max_bytes,
                 struct tm_out_event *events);

/* A new batch begins: no event is at hand, `events` is empty (whoever reads it has done so). */
void tm_out_batch_reset(struct tm_out *o);

/* Takes back all rows of the event at hand, if that is `event` (a row, + TM_AFTER of what follows it); a row begun but not
 * ended goes too. */
void tm_out_rollback(struct tm_out *o, int32_t event);

/* An event's first row begins. */
void tm_out_event_begin(struct tm_out *o, struct tm_batch *b, int32_t row);
static inline void tm_out_row_begin(struct tm_out *o, struct tm_batch *b, int32_t row) {
  if (o->event != row + o->after && row != TM_ROW_EMPTY) tm_out_event_begin(o, b, row);
  o->row = o->buf.len;
}

/* The row begun is written as its format wants it: counts it. 0, -1 the event's rows are too large, -3 its fields are no columns (tm_out.columns). */
int32_t tm_out_row_end(struct tm_out *o, struct tm_flow *f);

/* The event in `row`, if it is the one at hand, has made no row. */
void tm_out_tally_rollback(struct tm_out_tally *t, int32_t row);
/* it was not late */
void tm_out_late_rollback(struct tm_out_tally *t, int32_t row);
/* it looked nothing up */
void tm_out_missed_rollback(struct tm_out_tally *t, int32_t row);

#endif
