/* record.h - records of several lines: where one begins and where it ends (format lines, tm_csv.record).
 *
 *   2026-01-05 first        a line that `start` matches begins a record
 *     at foo                all others belong to the one before
 *                           blank ones too
 *   2026-01-06 next         the next one; only now is it known where the first ended
 *
 * A record also ends where it has lines_max lines, where a further line would make it longer than an event may be, and at the
 * end of the text; what follows up to the next start is a record of its own, as are lines in front of the first start. The last record
 * that was read is held until it is known to be whole; who knows that nothing more comes ends it (`held`).
 * The pattern sees a line as the format lines gives it: whole, without its end. How long it may look is bounded by the
 * line's length: one that takes longer is no start.
 * What was looked at of the record held is not looked at again, so that lines which come one by one cost linear time. That is kept
 * in this process alone, and must be given up when other text is at the head. No file, no clock, no shared memory. */
#ifndef TM_CODEC_RECORD_H
#define TM_CODEC_RECORD_H

#include "../abi_c.h"

enum { TM_RECORD_LINES = 1000, TM_RECORD_LINES_MAX = 1000000, TM_RECORD_PATTERN_MAX = 1000 };

/* Why a record was ended though no start followed. */
enum tm_record_end { TM_RECORD_UNKNOWN = 0, TM_RECORD_BY_LINES, TM_RECORD_BY_BYTES, TM_RECORD_BY_SILENCE };

struct tm_record {
  char *text;                /* of the pattern, ended by a zero byte */
  int32_t text_len;
  struct tm_pattern *start;
  int32_t lines_max;
  double timeout_ms;         /* of silence, for inputs that know it */
  int32_t held;              /* bytes of whole lines of the record at the head of the text; 0: none */
  int32_t held_lines;
  int32_t held_stop;         /* where the last of them ends, without its line end */
  int32_t held_crlf;         /* some before it end with CR LF */
  int32_t begins;            /* does its first line match? -1: not known yet */
  enum tm_record_end why;    /* the one before was ended */
  int32_t broken_off;        /* lines that the pattern did not get through with; their user sets it to 0 */
};

/* A record found. */
struct tm_record_row {
  int32_t stop;              /* where its content ends */
  int32_t next;              /* where what follows begins */
  int32_t lines;
  int begins;                /* its first line matches */
  int crlf;                  /* lines in it end with CR LF; stop is in front of the last line's end */
};

/* Heap; start must have no fault (tm_ffi_pattern_fault). NULL: no memory. */
struct tm_record *tm_record_new(const char *start, int32_t len, int32_t lines_max, double timeout_ms);
void tm_record_free(struct tm_record *r);
/* Other text is at the head. */
void tm_record_forget(struct tm_record *r);

/* The record at text[at..): DONE; MORE: it may go on behind len; LONG: its first line is longer than max_event. final: nothing comes
 * behind the text. After MORE the same record must be asked for again, or tm_record_forget. */
enum tm_record_walked { TM_RECORD_DONE, TM_RECORD_MORE, TM_RECORD_LONG };
enum tm_record_walked tm_record_walk(struct tm_record *r, const char *text, int32_t at, int32_t len, int final, int32_t max_event,
                                     struct tm_record_row *row);

#endif
