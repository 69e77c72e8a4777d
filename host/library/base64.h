/* base64.h - bytes as base64 (RFC 4648, sections 4 and 5) and back. */
#ifndef TM_LIBRARY_BASE64_H
#define TM_LIBRARY_BASE64_H

#include <stdint.h>

static inline int64_t tm_base64_size(int64_t n) { return (n + 2) / 3 * 4; }
/* writes tm_base64_size(n) characters and returns the place behind them */
char *tm_base64_write(char *to, const char *s, int64_t n);
/* bytes that text[0..len), written by tm_base64_write, stands for */
int64_t tm_base64_length(const char *text, int64_t len);
/* writes them (and up to 2 more) and returns the place behind them */
char *tm_base64_read(char *to, const char *text, int64_t len);

#endif
