/* overlay.c - memory for what scripts write to events (struct tm_overlay of abi.h). */
#include <stdlib.h>

#include "../abi_c.h"

struct tm_overlay *tm_ffi_overlay_new(void) {
  /* large, so calloc maps fresh zero pages and touches none */
  return calloc(1, sizeof(struct tm_overlay));
}
