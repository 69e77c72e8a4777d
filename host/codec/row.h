/* row.h - an event with the fields that a script wrote, as one row: what json_row.c, msgpack_row.c and select.c share. */
#ifndef TM_CODEC_ROW_H
#define TM_CODEC_ROW_H

#include "../abi_c.h"

enum { TM_SPLICE_MAX = 32 };    /* written fields that are put in their places one by one; more go through a patch */

/* A written field that stands in the event. */
struct tm_splice {
  const struct tm_cell *cell;
  int32_t slot;
};

/* The written fields of an event by what is to be done: `present` in order of place, `news` in order of writing. */
struct tm_splices {
  int32_t present_n, news_n;
  struct tm_splice present[TM_SPLICE_MAX];
  int32_t news[TM_SPLICE_MAX];
};

/* A written value as JSON, appended, perhaps with notes: 0, -1 out of space, -2 it cannot be written. */
int32_t tm_json_put_slot(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_slot *s,
                         const struct tm_slot_field *f);

/* Rows of msgpack (msgpack_row.c), appended: 0, -1 out of space, -2 a value cannot be written. */
/* The n slots, which are all that the row has. */
int32_t tm_msgpack_row_fields(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v, const struct tm_overlay *ov,
                              const int32_t *slots, int32_t n);
/* An event of msgpack with its changes. */
int32_t tm_msgpack_row_spliced(struct tm_buf *out, const struct tm_batch *b, const struct tm_view *v,
                               const struct tm_overlay *ov, const struct tm_splices *s);

#endif
