/* unpack.h - compressed input: gzip members and zstd frames, one behind the other, mixed as they come, as one text.
 *
 * A decoder keeps its own memory, and a worker may be killed while it is at work in it. So that memory lies in shared
 * memory too, and now and then, when all that was read is decoded, it is copied:
 *
 *   | struct tm_unpack | log: bytes read since the copy | live: decoder's memory | kept: its copy |
 *
 * Whoever takes up after a death puts the copy back and decodes the log again, up to as much text as was taken
 * before. Decoding is a function of the bytes alone, so the text goes on at the same byte. This needs no second look at
 * the input, which may be a pipe. Workers are forked, never started anew, so pointers inside the decoder's memory hold.
 *
 * Text is made in pieces as large as the caller asks for, whatever the ratio. Memory: twice that of the decoder; for
 * zstd that is the window its frame asks for, at most 2^TM_UNPACK_WINDOW_LOG bytes, and only what is touched is used. */
#ifndef TM_IO_UNPACK_H
#define TM_IO_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "../base/undo.h"

enum { TM_UNPACK_WINDOW_LOG = 27, TM_UNPACK_WHY = 160 };

struct tm_unpack;

/* Is text[0..len) the start of something compressed? 1, 0; -1 not to be told of so few bytes. */
int tm_unpack_recognize(const char *text, int32_t len);

/* Bytes of shared memory, zeroed; small: too little for zstd's wide windows. */
size_t tm_unpack_size(int small);
/* A new input begins with the n bytes of text, which were recognized. Nothing of what was before counts any more. */
void tm_unpack_begin(struct tm_unpack *u, size_t size, const char *text, int32_t n);

/* Where further bytes of the input are to be read to, when tm_unpack_make has asked for them. At least 64 KiB. */
char *tm_unpack_room(struct tm_unpack *u, struct tm_undo *undo, int32_t *room);
/* n bytes were read to there. Part of a change under way. */
void tm_unpack_fed(struct tm_unpack *u, struct tm_undo *undo, int32_t n);
/* Where bytes are read to, with no housekeeping: for who looks whether a read took place. */
char *tm_unpack_end(struct tm_unpack *u);

/* Makes up to room bytes of text: *made of them. 1 go on; 0 needs more of the input; -1 the input is broken there, why in
 * `why` (a sentence's end). What is made counts when tm_unpack_took says so. */
int tm_unpack_make(struct tm_unpack *u, char *to, int32_t room, int32_t *made, char why[TM_UNPACK_WHY]);
/* The text made last is taken. Part of a change under way. */
void tm_unpack_took(struct tm_unpack *u, struct tm_undo *undo, int32_t made);
/* May there be text without more of the input? */
int tm_unpack_pending(const struct tm_unpack *u);
/* The input has ended: 0 in order, -1 and why not. */
int tm_unpack_ended(const struct tm_unpack *u, char why[TM_UNPACK_WHY]);
/* The byte of the input that comes next. */
int64_t tm_unpack_at(const struct tm_unpack *u);

/* After a death. */
void tm_unpack_resume(struct tm_unpack *u, struct tm_undo *undo);

#endif
