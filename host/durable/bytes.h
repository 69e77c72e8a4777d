/* bytes.h - numbers in little-endian order, as the durable files have them. */
#ifndef TM_DURABLE_BYTES_H
#define TM_DURABLE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline void tm_bytes_put16(unsigned char *p, uint32_t v) {
  p[0] = (unsigned char)v;
  p[1] = (unsigned char)(v >> 8);
}
static inline void tm_bytes_put32(unsigned char *p, uint32_t v) {
  tm_bytes_put16(p, v);
  tm_bytes_put16(p + 2, v >> 16);
}
static inline void tm_bytes_put64(unsigned char *p, uint64_t v) {
  tm_bytes_put32(p, (uint32_t)v);
  tm_bytes_put32(p + 4, (uint32_t)(v >> 32));
}
static inline uint32_t tm_bytes_get16(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t tm_bytes_get32(const unsigned char *p) {
  return tm_bytes_get16(p) | tm_bytes_get16(p + 2) << 16;
}
static inline uint64_t tm_bytes_get64(const unsigned char *p) {
  return tm_bytes_get32(p) | (uint64_t)tm_bytes_get32(p + 4) << 32;
}

#endif
