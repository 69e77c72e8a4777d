/* json_scanner.h - the parts a JSON reader is made of.
 *
 * A *scanner* is the decoder compiled for one instruction set: json_scan.h is the text they share, the
 * json_scan_*.c files give it its primitives. json_read.c picks one at run time and drives it. What is too rare to be
 * compiled several times (numbers beyond the quick path, faults told to people) lies in json_number.c and
 * json_explain.c.
 *
 * A scanner never looks at the length of a line: it relies on a byte that no grammar passes (the LF, or
 * a NUL put behind a copy) and on TM_PAD readable bytes behind that. */
#ifndef TM_CODEC_JSON_SCANNER_H
#define TM_CODEC_JSON_SCANNER_H

#include "json_shape.h"

/* One line being read. */
struct tm_json_scan {
  const char *base;             /* a cell's off is (text - base) + shift */
  int32_t shift;
  int32_t row;                  /* of the cells written */
  const char *end;              /* the byte that stops the scan; TM_PAD bytes behind it are readable */
  struct tm_json_shape *shape;
  int32_t lf;                   /* 1: LF is white space (a whole text), 0: it is where the line ends */
  int32_t twice;                /* set when a field came a second time */
  int32_t error;                /* enum tm_line_status, set when a function returned NULL */
};

struct tm_json_scanner {
  const char *name;
  /* Writes the offsets of up to max LFs of text[0..len) to `at`, which has room for max + 64; returns their number. */
  int32_t (*lines)(const char *text, int32_t len, int32_t *at, int32_t max);
  /* Reads the line from p to s->end, where a LF stands (or a byte acting as one), into s->row. *object and *object_len
   * are the object's text. Returns TM_LINE_OK, why it is none, or -1 if there is only white space. */
  int32_t (*line)(struct tm_json_scan *s, const char *p, const char **object, int32_t *object_len);
  /* Reads the members of the (valid) object at p. */
  void (*object)(struct tm_json_scan *s, const char *p);
  /* 0 if p..s->end is one JSON value with white space around it, else -1. */
  int32_t (*text)(struct tm_json_scan *s, const char *p);
};

extern const struct tm_json_scanner tm_json_scanner_portable;
#if defined(__x86_64__)
extern const struct tm_json_scanner tm_json_scanner_avx2;
#endif

/* Reads the members of the (valid) object at p, as the scanner in force does; s->end is behind it. */
void tm_json_object_read(struct tm_json_scan *s, const char *p);

enum { TM_JSON_DIGITS_SAFE = 15 };      /* any number of so few digits, without exponent, is exact */
extern const double tm_json_pow10[23];  /* the powers of ten that a double holds exactly */

/* The end of the number at p by RFC 8259's grammar, or NULL. */
const char *tm_json_number_end(const char *p);
/* Kind and, if want, value of the valid number text[0..len), correctly rounded. Fills kind, len and num, not off.
 * An integer literal is BIGINT outside +-2^53, whatever its length. */
void tm_json_number_cell(const char *text, int32_t len, int want, struct tm_cell *out);

/* What is wrong with a text, found the slow way. */
struct tm_json_fault {
  int32_t status;               /* enum tm_line_status; TM_LINE_OK: it is one JSON value */
  int32_t at;                   /* offset of the first byte that cannot be accepted */
  const char *expected;         /* static; NULL if there is nothing to expect (a bad byte) */
  const char *found;            /* static; NULL: the byte itself */
};
/* object: demand an object. */
void tm_json_fault_find(const char *text, int32_t len, int object, struct tm_json_fault *out);

#endif
