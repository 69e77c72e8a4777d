/* crc32c.h - CRC-32C (Castagnoli; RFC 3720, appendix B.4): the check value of what is kept on disks.
 *
 * The processor's own instruction (SSE4.2) where it has one, else tables, eight bytes at a time. Both give the same
 * values. */
#ifndef TM_BASE_CRC32C_H
#define TM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The value of more bytes behind those that gave `crc`; 0 begins: crc32c(crc32c(0, a), b) is that of ab. */
uint32_t tm_crc32c(uint32_t crc, const void *bytes, size_t n);

/* The two ways it is computed, for tests; the first only where tm_crc32c_has_hardware says 1. */
uint32_t tm_crc32c_hardware(uint32_t crc, const void *bytes, size_t n);
uint32_t tm_crc32c_portable(uint32_t crc, const void *bytes, size_t n);
int tm_crc32c_has_hardware(void);

#endif
