/* segment.h - the files of a journal: their names, finding them, reading their frames one after the other.
 *
 * Shared by the scan, the replay, the rewriting of the tail and the repair. A reader holds a window of a file; what it
 * returns is borrowed until the next call. */
#ifndef TM_DURABLE_SEGMENT_H
#define TM_DURABLE_SEGMENT_H

#include "data_dir.h"
#include "frame.h"
#include "journal.h"

enum { TM_SEGMENT_PATH = TM_DATA_PATH_MAX + 64 };

/* "DIR/journal.<16 hexadecimal digits>"; out has TM_SEGMENT_PATH bytes. Returns out. */
char *tm_segment_path(const char *dir, uint64_t number, char *out);

/* The numbers of all segments of the folder into scan->segments, ascending: 0, or -1 with err. */
int tm_segments_list(const struct tm_io *io, const char *dir, struct tm_journal_scan *scan, struct tm_err *err);

struct tm_segment_reader {
  const struct tm_io *io;
  int fd;                           /* -1: none open */
  int64_t size;                     /* of the file */
  char path[TM_SEGMENT_PATH];
  unsigned char *window;            /* bytes [at, at + n) of the file */
  int64_t at, n;
};

/* Takes memory for the window: 0, or -1 with err. */
int tm_segment_reader_init(struct tm_segment_reader *r, const struct tm_io *io, struct tm_err *err);
void tm_segment_reader_fini(struct tm_segment_reader *r);
/* Opens another file: 1, 0 there is none of that number, -1 with err. */
int tm_segment_reader_open(struct tm_segment_reader *r, const char *dir, uint64_t number, struct tm_err *err);
/* n bytes (at most a frame with its head) of the file at `at`: 1 and *p, 0 the file ends before, -1 with err. */
int tm_segment_reader_get(struct tm_segment_reader *r, int64_t at, int64_t n, const unsigned char **p, struct tm_err *err);

/* Why a frame is none. */
enum tm_frame_state {
  TM_FRAME_ERROR = -1,              /* could not be read: err */
  TM_FRAME_NONE = 0,                /* no head that belongs to this segment */
  TM_FRAME_VALID = 1,
  TM_FRAME_TORN = 2                 /* a head of this segment, but the payload is not there or not what it was */
};
/* The frame at `at` of a segment with this salt: TM_FRAME_VALID with *f and *payload (borrowed). */
enum tm_frame_state tm_segment_frame(struct tm_segment_reader *r, int64_t at, uint64_t salt, uint64_t id, struct tm_frame *f,
                                     const unsigned char **payload, struct tm_err *err);

/* A scan of what lies before byte `at` of a segment, as if nothing came behind (segment 0: of all). For the repair. */
int tm_journal_scan_until(const struct tm_io *io, const char *dir, uint64_t id, uint64_t segment, int64_t at,
                          struct tm_journal_scan *scan, struct tm_err *err);

/* "cannot WHAT PATH: reason": -1. code is a negative errno. */
int tm_segment_failed(struct tm_err *err, const char *what, const char *path, int64_t code);

#endif
