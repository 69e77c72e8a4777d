/* msgpack_scanner.h - the parts a msgpack reader is made of: msgpack_scan.h is compiled for several instruction sets,
 * msgpack_read.c drives what it gives. */
#ifndef TM_CODEC_MSGPACK_SCANNER_H
#define TM_CODEC_MSGPACK_SCANNER_H

#include "json_shape.h"
#include "msgpack_bytes.h"

/* One message being read. */
struct tm_msgpack_reader {
  const char *base;                  /* a cell's off is text - base */
  const char *end;                   /* of the bytes that are there; TM_PAD more are readable */
  struct tm_json_shape *shape;
  int32_t row;                       /* of the cells written */
  int32_t twice;                     /* set when a field came a second time */
  enum tm_msgpack_fault fault;       /* set when NULL was returned; FINE: a valid value that is no map */
};

/* Reads the message at p into r->row: the place behind it, or NULL. */
typedef const char *tm_msgpack_scanner(struct tm_msgpack_reader *r, const char *p);

extern tm_msgpack_scanner tm_msgpack_scan_plain;
#if defined(__x86_64__)
extern tm_msgpack_scanner tm_msgpack_scan_avx2;
#endif

/* What msgpack_read.c and fluent.c share. */

/* The scanner for this processor. */
tm_msgpack_scanner *tm_msgpack_scanner_used(void);
/* Makes b a batch without rows, of text at `text`. */
void tm_msgpack_batch_begin(struct tm_batch *b, const char *text);
/* Makes rows from b->rows on absent, some at a time: up to which one. */
int32_t tm_msgpack_rows_ready(struct tm_batch *b);
void tm_msgpack_rows_clear(struct tm_fields *f, int32_t from, int32_t to);
/* The next row, with its cells in place. */
void tm_msgpack_row_add(struct tm_batch *b, const char *p, const char *end, int32_t status);
/* enum tm_line_status of a message that the scanner did not take. */
int32_t tm_msgpack_status(enum tm_msgpack_fault fault);

#endif
