/* csv_scanner.h - the parts a CSV reader is made of: csv_scan.h is compiled for several instruction sets, csv_read.c drives
 * what it gives.
 *
 * A piece of text is indexed first: the places of delimiters and LFs, which of them are LFs, and quotes. A row without quotes that has
 * the right number of delimiters is then good, and its k-th field lies between two neighbours of the index; only the
 * fields that scripts read are touched. Everything else is left to csv_walk.c. */
#ifndef TM_CODEC_CSV_SCANNER_H
#define TM_CODEC_CSV_SCANNER_H

#include "../event/fields.h"
#include "csv.h"

enum { TM_CSV_PIECE = 16 * 1024, TM_CSV_SLACK = 128 };

/* A column that scripts read. */
struct tm_csv_want {
  int32_t column;                    /* in the file at hand */
  int32_t last;                      /* 1: its end is the row's */
  int32_t type;                      /* enum tm_text_type */
  int32_t id;                        /* of the field */
  struct tm_cell *cells;
  struct tm_words *words;            /* or NULL */
};

struct tm_csv_scan {
  const char *piece;                 /* indexed text; places count from here */
  int32_t len;
  int32_t base;                      /* of the piece in the batch's text */
  char delimiter;
  int32_t high;                      /* 1: some byte is not ASCII */
  int32_t row_at;                    /* where the next row begins */
  int32_t mark;                      /* its first place in the index */
  int32_t line;                      /* the next LF */
  int32_t quote;                     /* the next quote */
  int32_t lines_n;
  int32_t columns;
  const struct tm_csv_want *wants;
  int32_t wants_n;
  int32_t before;                    /* marks[-1] */
  int32_t marks[TM_CSV_PIECE + TM_CSV_SLACK];  /* delimiters and LFs */
  int32_t lines[TM_CSV_PIECE + TM_CSV_SLACK];  /* which of them are LFs */
  int32_t quotes[TM_CSV_PIECE + TM_CSV_SLACK]; /* ended by INT32_MAX */
};

struct tm_csv_scanner {
  /* Indexes the piece, from its start. */
  void (*index)(struct tm_csv_scan *s);
  /* Reads rows into b as long as they are good, have no quotes, and the piece holds them: s->row_at is where it stopped. Adds to
   * *lines. end_max: rows that end behind it are left. */
  void (*rows)(struct tm_csv_scan *s, struct tm_batch *b, int32_t end_max, int32_t max_event, int32_t *lines);
  /* A field that is text[0..len), into a cell. */
  void (*put)(const struct tm_csv_want *w, int32_t row, const char *raw, int32_t off, int32_t len);
};

extern const struct tm_csv_scanner tm_csv_scanner_portable;
#if defined(__x86_64__)
extern const struct tm_csv_scanner tm_csv_scanner_avx2;
#endif

#endif
