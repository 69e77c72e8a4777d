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

#endif
