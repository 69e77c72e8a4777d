/* crc32c.h - the checksum of files that must survive: CRC-32C (Castagnoli), as in RFC 3720 B.4 (iSCSI).
 *
 * By the processor's own instruction where it has SSE4.2, else by tables of 8 bytes at a time; the same values. */
#ifndef TM_BASE_CRC32C_H
#define TM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from the checksum of what stands before; 0 at the beginning. */
uint32_t tm_crc32c(uint32_t crc, const void *data, size_t n);
/* The one by tables, whatever the processor has: for tests. */
uint32_t tm_crc32c_portable(uint32_t crc, const void *data, size_t n);

#endif
