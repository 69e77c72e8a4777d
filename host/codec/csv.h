/* csv.h - CSV and plain lines to events (csv_read.c), their values as JSON text or msgpack (csv_text.c).
 *
 * RFC 4180, and what it leaves open: a row is an object whose members are the columns, in their order; a field that begins
 * with a quote ends with the closing one, in any other field a quote is a character; rows end with LF or CRLF, a CR
 * elsewhere is a character; an empty line is no row. A row has as many fields as there are columns and is UTF-8.
 * Where the quotes of a row make no sense only its first line is bad, and reading goes on at the next one: a field that
 * is opened and never closed costs one line, and no byte is looked at more than a fixed number of times.
 * `lines` is the same with one column, without delimiter, quotes and blank lines; with a record (record.h) several lines are a row. */
#ifndef TM_CODEC_CSV_H
#define TM_CODEC_CSV_H

#include "../abi_c.h"
#include "../base/keep.h"
#include "../event/fields.h"
#include "format.h"
#include "record.h"

enum {
  TM_CSV_COLUMNS_MAX = 16384,
  TM_CSV_NAMES_BYTES = 1 << 20,     /* of all names, and of the row they are read from */
  TM_CSV_NO_DELIMITER = 0           /* lines: a row is one field, whatever is in it */
};

/* The names of columns, in one piece, so that they may lie in shared memory. */
struct tm_csv_names {
  int32_t n;
  int32_t ends[TM_CSV_COLUMNS_MAX]; /* of each name, in text */
  char text[TM_CSV_NAMES_BYTES + TM_PAD];
};

/* How the batches of a source are read: tm_batch.csv. */
struct tm_csv {
  char delimiter;
  int header;                       /* the first row of a file is no event */
  const struct tm_csv_names *given; /* the columns, whatever the header says; NULL: it names them */
  struct tm_csv_names *shared;      /* those of the file at hand; outlives a worker */
  struct tm_record *record;         /* lines: a row is a record of several; NULL: it is one. Owned */
  const struct tm_csv_names *names; /* one of these two */
  double serial;                    /* counts changes of `names` */
  struct tm_csv_members *members;   /* the names as members of JSON (csv_text.c) */
  struct tm_csv_map *map;           /* where fields of scripts stand (csv_read.c) */
};

/* What scripts or the command line say of a source or sink of CSV. */
struct tm_csv_options {
  char delimiter;
  int header;                       /* source: the first row is no event, and names the columns unless they are given; sink: it is
                                       written */
  int crlf;                         /* sink: rows end with CR LF */
  struct tm_csv_names *columns;     /* taken over; NULL: not given */
  struct tm_record *record;         /* source of lines: taken over; NULL: a line is an event */
  int breaks;                       /* sink of lines: a row may have several */
};

/* One field of a row: its bytes, without quotes around. */
struct tm_csv_span {
  int32_t off;
  int32_t len;
  uint8_t quoted;
  uint8_t doubled;                  /* quotes in it stand twice */
  uint8_t crlf;                     /* lines in it end with CR LF, and it says LF */
};

/* Are its bytes what it says? */
static inline int tm_csv_span_plain(const struct tm_csv_span *span) { return !(span->doubled | span->crlf); }

/* A row, one field after the other. */
enum tm_csv_walked { TM_CSV_DONE, TM_CSV_MORE, TM_CSV_OPEN, TM_CSV_BEHIND };
struct tm_csv_row {
  int32_t fields;                   /* of the row; DONE only */
  int32_t stop;                     /* where its content ends */
  int32_t next;                     /* where the next row begins */
  int32_t at;                       /* OPEN: of the quote not closed; BEHIND: of what follows a closing one */
  int32_t lines;                    /* LFs in it, that of its end included */
};
/* Walks the row at text[from..): DONE; MORE: it does not end within len. final: 0 more may come; 1 the file ends there;
 * TM_CSV_WHOLE so does what is known to be one row, line end cut off. spans: of its first `max` fields; may be NULL. TM_PAD
 * readable bytes behind the text. */
enum { TM_CSV_WHOLE = 2 };
enum tm_csv_walked tm_csv_walk(const char *text, int32_t from, int32_t len, int final, char delimiter, struct tm_csv_row *row,
                               struct tm_csv_span *spans, int32_t max);
/* Appends what a span says: 0, or -1 out of space. */
int32_t tm_csv_span_put(struct tm_buf *out, const char *text, const struct tm_csv_span *span);

/* csv_names.c */

/* Of plain lines: `line`. */
const struct tm_csv_names *tm_csv_names_line(void);

/* Appends a name: 0, or -1 too many, too long. */
int32_t tm_csv_names_add(struct tm_csv_names *n, const char *name, int32_t len);
/* Why these names cannot be the columns of events, as a sentence; 0: they can. */
int tm_csv_names_fault(const struct tm_csv_names *n, char *why, int32_t why_size);
/* The column of that name, or -1. Looked up from `hint` on, so that names asked in their order are found at once. */
int32_t tm_csv_names_find(const struct tm_csv_names *n, const char *name, int32_t len, int32_t hint);
/* What of them a later process needs. */
void tm_csv_names_keep(const struct tm_csv_names *n, struct tm_keeper *k);
int tm_csv_names_equal(const struct tm_csv_names *a, const struct tm_csv_names *b);
static inline const char *tm_csv_name(const struct tm_csv_names *n, int32_t i, int32_t *len) {
  int32_t from = i == 0 ? 0 : n->ends[i - 1];
  *len = n->ends[i] - from;
  return n->text + from;
}

/* csv_read.c */

/* Heap. shared: the caller's; NULL: no memory. given: owned by the caller, or NULL. */
struct tm_csv *tm_csv_new(int32_t format, char delimiter, int header, const struct tm_csv_names *given, struct tm_csv_names *shared);
/* What hangs off it too; not the names. NULL is nothing. */
void tm_csv_free(struct tm_csv *csv);
/* Reads the head of a file from text[0..len) into `shared`: 1 it is passed, 0 more is needed, -1 it is no header: cut->broken
 * says why, until the next call. */
int tm_csv_head(struct tm_batch *b, const char *text, int32_t len, int final, struct tm_cut *cut);
/* As struct tm_format says. */
void tm_csv_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event, struct tm_cut *cut);
void tm_csv_fill(struct tm_batch *b, int32_t id);
void tm_csv_explain(const struct tm_batch *b, int32_t row, char *why, int32_t why_size);
/* The fields of a good row: spans, as many as there are columns; valid until the next call. */
const struct tm_csv_span *tm_csv_row_spans(const struct tm_batch *b, int32_t row);

/* csv_text.c */

/* What a STRING's num tells of its text (tm_cell_head): it lies in the row; it was written out beside the row since quotes stand
 * twice or lines end with CR LF there; it was made JSON (tm_ffi_cell_text), with quotes around the span. */
enum { TM_CSV_IN_ROW = 0, TM_CSV_UNDOUBLED = 1, TM_CSV_JSON = 2 };

void tm_csv_members_free(struct tm_csv_members *m);
/* What a text is as a value of that type (enum tm_text_type): its kind. num gets a number's value. */
int tm_csv_value(const char *text, int32_t len, int32_t type, double *num);
/* Appends a row as JSON text; types: may be NULL. 0, or -1 out of space. */
int32_t tm_csv_text(struct tm_buf *out, const struct tm_batch *b, int32_t row, const struct tm_types *types);
/* Appends a cell of a CSV batch as JSON text. */
int32_t tm_csv_cell_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c);
/* As tm_ffi_cell_text. */
int32_t tm_csv_cell_text(struct tm_batch *b, struct tm_cell *c);
/* What stands in the row for a cell, quotes included. */
const char *tm_csv_cell_raw(const struct tm_batch *b, const struct tm_cell *c, int32_t *len);

static inline int tm_csv_batch(const struct tm_batch *b) { return b->format == TM_FORMAT_CSV || b->format == TM_FORMAT_LINES; }

#endif
