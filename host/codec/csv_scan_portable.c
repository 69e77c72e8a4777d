/* csv_scan_portable.c - the CSV decoder in plain C, for every processor; it answers as the others do, to the bit. */
#include "json_scanner.h"
#include "number_quick_portable.h"

#define SCANNER tm_csv_scanner_portable

#include "csv_scanner.h"

static void index_piece(struct tm_csv_scan *s) {
  /* of lines nothing is a delimiter, nor a quote */
  int lines = s->delimiter == TM_CSV_NO_DELIMITER;
  char delimiter = lines ? '\n' : s->delimiter, quote = lines ? '\n' : '"', high = 0;
  int32_t marks = 0, ends = 0, quotes = 0;
  for (int32_t i = 0; i < s->len; i++) {
    char c = s->piece[i];
    high |= c;
    if (c == '\n') s->lines[ends++] = marks;
    if (c == delimiter || c == '\n') s->marks[marks++] = i;
    else if (c == quote) s->quotes[quotes++] = i;
  }
  s->quotes[quotes] = INT32_MAX;
  s->lines_n = ends;
  s->high = (high & 0x80) != 0;
}

#include "csv_scan.h"
