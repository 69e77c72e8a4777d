/* sink.h - where rows go: a file (append), standard output, nowhere, or a link to other pipelines.
 *
 * A sink writes the bytes of one tm_out from its front; what it could not write yet stays there and holds the
 * pipelines back. Descriptors do not block, where the system lets us ask for that. */
#ifndef TM_IO_SINK_H
#define TM_IO_SINK_H

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"

enum tm_sink_kind { TM_SINK_FILE, TM_SINK_STDOUT, TM_SINK_DISCARD, TM_SINK_LINK };

struct tm_sink_state {
  int32_t sent;              /* bytes at the front of the out that the sink has taken */
};

struct tm_sink {
  int32_t index;
  enum tm_sink_kind kind;
  char name[256];
  char *path;
  int fd;
  int polled;                /* fd may refuse: wait with a watcher */
  int blocked;               /* the last write was refused */
  int refused;               /* errno of a refusal that is no full pipe (ENOSPC ...): retried later; 0 none */
  int gone;                  /* its reader has gone: bytes are thrown away */
  struct tm_sink_state *state;  /* shared */
};

/* Opens it: 0, or -1 and err. */
int tm_sink_open(struct tm_sink *s, const struct tm_io *io, struct tm_err *err);
/* Writes data[state->sent, len) as far as possible: bytes taken now (0: refused, `blocked` is set), -1 and err. */
int64_t tm_sink_write(struct tm_sink *s, const struct tm_io *io, const char *data, int32_t len, struct tm_err *err);

#endif
