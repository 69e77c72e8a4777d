/* pack.h - compressed output: a piece of text as one gzip member or zstd frame, which any such program joins to one text.
 *
 * Nothing is kept from one piece to the next, so a worker that dies costs no more than making a piece again. */
#ifndef TM_IO_PACK_H
#define TM_IO_PACK_H

#include <stddef.h>
#include <stdint.h>

enum tm_pack_kind { TM_PACK_NOT, TM_PACK_GZIP, TM_PACK_ZSTD };

/* Room that n bytes may need at most. */
size_t tm_pack_bound(enum tm_pack_kind kind, size_t n);
/* Writes from[0..n) compressed to `to`, which has that room: bytes, or -1 no memory. One thread. */
int32_t tm_pack(enum tm_pack_kind kind, char *to, size_t room, const char *from, int32_t n);

#endif
