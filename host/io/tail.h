/* tail.h - the last bytes that were written to a file, by which a later process tells whether somebody has changed it.
 *
 * A run that is taken up cuts its files back to where it goes on. One that was edited meanwhile would be cut somewhere else, and
 * end in half a row. So with the place goes a hash of the few bytes before it. Changes further ahead that keep all lengths are not seen. */
#ifndef TM_IO_TAIL_H
#define TM_IO_TAIL_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_TAIL_MAX = 64 };

struct tm_tail {
  uint64_t hash;
  int64_t n;                 /* bytes that it is of; 0 nothing is known */
};

/* data[0..len) was written, and the file ends there. len 0: changes nothing. */
void tm_tail_set(struct tm_tail *t, const char *data, int64_t len);
/* Are the bytes before `end` those? 0, or -1 and err. */
int tm_tail_check(const struct tm_tail *t, const struct tm_io *io, const char *path, int64_t end, struct tm_err *err);

#endif
