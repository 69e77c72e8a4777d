/* status.h - how a run stands, as JSON: what `tidemill status` shows, and a page would. */
#ifndef TM_ENGINE_STATUS_H
#define TM_ENGINE_STATUS_H

#include <stdint.h>

#include "../base/buf.h"
#include "../command/options.h"
#include "shared.h"

struct tm_status {
  const struct tm_shared *shared;
  const struct tm_options *options;
  uint64_t wall_ns;       /* since the start */
  int worker;             /* its process; 0: none */
  int deaths;             /* of workers */
  int told;               /* the worker has told how it stands, just now */
  int reloading;
};

/* One object and a newline: 0, or -1 no memory. */
int tm_status_json(const struct tm_status *s, struct tm_buf *out);
/* The same for people, in lines. */
int tm_status_text(const struct tm_status *s, struct tm_buf *out);

#endif
