/* csv_write.h - rows as CSV or plain lines.
 *
 * Columns are given when the sink is made, or those of the first row; the header goes in front of the first row, as part of
 * it: whoever takes that row back takes the header too, and after a death the count of rows tells whether it was written.
 * Quotes stand where they must: around delimiters, quotes, CR and LF, and around the empty value of a single column, which would
 * be a blank line. Null and what is absent are empty, objects and arrays JSON text. */
#ifndef TM_CODEC_CSV_WRITE_H
#define TM_CODEC_CSV_WRITE_H

#include "csv.h"

/* How a sink's rows are written: tm_out.csv; all outs of a sink share one. */
struct tm_csv_out {
  char delimiter;
  int crlf;
  int header;                  /* the first row of an out has the header in front */
  int breaks;                  /* lines: a row may hold line breaks, and is several lines then; its maker sets it */
  int given;                   /* the columns are; 0: the first row says them */
  struct tm_csv_names *names;  /* given: only read; else shared, written while an out has no row */
  struct tm_csv_row_out *row;  /* the row at hand (csv_write.c) */
};

/* given: owned by the caller, or NULL; then names are kept in `shared`. NULL: no memory. */
struct tm_csv_out *tm_csv_out_new(int32_t format, char delimiter, int crlf, int header, struct tm_csv_names *given,
                                  struct tm_csv_names *shared);
/* Appends the header. */
int32_t tm_csv_head_put(struct tm_buf *out, const struct tm_csv_out *csv);
/* These append one row to o->buf, line end and all: 0, -1 out of space, -3 it does not fit the columns (tm_csv_out_why). */
int32_t tm_csv_put_json(struct tm_out *o, const char *text, int32_t len);               /* TM_PAD readable bytes behind it */
int32_t tm_csv_put_row(struct tm_out *o, const struct tm_batch *b, int32_t row);        /* of a batch of CSV or lines */
/* Appends a value in its place: the first one of a row, or one behind others. For batches of JSON, CSV and lines. */
int32_t tm_csv_put_cell(struct tm_buf *out, const struct tm_csv_out *csv, const struct tm_batch *b, const struct tm_cell *c, int first);
int32_t tm_csv_end_put(struct tm_buf *out, const struct tm_csv_out *csv);
/* In front of an out's first row. */
int32_t tm_csv_begin(struct tm_out *o);

#endif
