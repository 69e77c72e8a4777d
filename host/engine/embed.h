/* embed.h - texts built into the binary: abi.h and the Lua library. Generated into build/ by the Makefile. */
#ifndef TM_ENGINE_EMBED_H
#define TM_ENGINE_EMBED_H
#include <stddef.h>

struct tm_embed {
  const char *name;   /* "abi.h", or a module name such as "tidemill.view" */
  const char *text;
  size_t len;
};
extern const struct tm_embed tm_embed_list[];  /* ends with a NULL name */

#endif
