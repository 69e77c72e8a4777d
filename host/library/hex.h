/* hex.h - bytes as hexadecimal digits (RFC 4648, section 8) and back. */
#ifndef TM_LIBRARY_HEX_H
#define TM_LIBRARY_HEX_H

#include "../abi_c.h"

/* appends them in lower case: 0, or -1 out of space */
int32_t tm_hex_put(struct tm_buf *out, const unsigned char *s, int32_t len);

#endif
