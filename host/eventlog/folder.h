/* folder.h - the segments of an event log, as a folder has them (format.h).
 *
 * The folder is the one truth about which segments there are: nobody keeps a list beside it. */
#ifndef TM_EVENTLOG_FOLDER_H
#define TM_EVENTLOG_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"

enum { TM_EVENTLOG_PATH = 4096, TM_EVENTLOG_SEGMENTS_MAX = 1000000 };

struct tm_eventlog_segment {
  uint64_t first;
  int packed;                /* it is there packed */
  int plain;                 /* it is there as .events; both: packing was cut off behind its last step but one */
};

struct tm_eventlog_list {
  struct tm_eventlog_segment *items;  /* by first */
  int32_t n;
};

/* Reads the folder: 0, 1 there is none, -1 err. The list is the caller's, to be given to tm_eventlog_list_fini. */
int tm_eventlog_list_read(const char *folder, struct tm_eventlog_list *list, struct tm_err *err);
void tm_eventlog_list_fini(struct tm_eventlog_list *list);
/* FOLDER/00000000000000000001.ENDING into out, which has TM_EVENTLOG_PATH bytes. */
void tm_eventlog_path(char *out, const char *folder, uint64_t first, const char *ending);

#endif
