/* note.h - notes in JSON text that was made of msgpack, so that it can become the same msgpack again.
 *
 * A note is two control characters, which no valid JSON has, so nothing that was read or that a script wrote can be
 * taken for one. It holds the lead byte of the value behind it:
 *
 *   0e | high bit    10 | low 4 bits        for lead bytes c0 to df
 *
 *   [note]1.5  [note]3  [note]{…}           in front of a value that would be written with another lead byte; the walkers of
 *                                           json_walk.h pass it like white space
 *   "[note]aGVsbG8="                        in a string: bytes, in base64
 *   "[note]05aGVsbG8="                      an extension: its type in two hexadecimal digits, its bytes
 *   [note]1e999  [note]-1e999               the infinities, which JSON has no number for
 *   [note]1e99800000009221120237041090560   a NaN: the 20 digits are its bits
 *
 * Such text lives inside the program only: a row for a sink is cleaned of notes, or becomes msgpack (out.c). */
#ifndef TM_CODEC_NOTE_H
#define TM_CODEC_NOTE_H

#include <stdint.h>

#include "../abi_c.h"

enum { TM_NOTE = 2 };         /* bytes of a note */

/* 1 since a note was first written: until then no text needs cleaning. */
extern int tm_notes_written;

static inline int tm_note_at(const char *p) { return (*p & 0xfe) == 0x0e; }
static inline uint8_t tm_note_lead(const char *p) { return (uint8_t)(0xc0 | (p[0] & 1) << 4 | (p[1] & 15)); }
static inline char *tm_note_write(char *p, uint8_t lead) {
  p[0] = (char)(0x0e | (lead >> 4 & 1));
  p[1] = (char)(0x10 | (lead & 15));
  return p + TM_NOTE;
}

/* The number that JSON does not have at text[0..), behind its note: *v, and 1; 0: it is another one. */
int tm_note_number_read(const char *text, double *v);
/* A number's cell that is no NUMBER, behind a note: a float is one all the same, however many digits it has. */
void tm_note_number(const char *base, struct tm_cell *c);
/* JSON text with notes as JSON for others, appended: bytes as base64, extensions as objects, points in time as ISO
 * 8601. 0, -1 out of space, -2 there is a number that JSON does not have. TM_PAD readable bytes behind the text. */
int32_t tm_note_clean(struct tm_buf *out, const char *text, int32_t len);
/* Bytes or an extension as a string with its note, quotes included. lead: c4 to c9, d4 to d8; type: of an extension. */
int32_t tm_note_opaque(struct tm_buf *out, uint8_t lead, int32_t type, const char *s, int64_t n);
/* The same for JSON of others: base64, an object, or ISO 8601. bin: 1 bytes, 0 an extension. */
int32_t tm_note_opaque_plain(struct tm_buf *out, int bin, int32_t type, const char *s, int64_t n);

/* What the string with a note text[0..len) (without its quotes) holds; its bytes are appended. 0, -1 out of space. */
struct tm_note_value {
  uint8_t lead;
  int bin;                    /* 1: bytes, 0: an extension */
  int32_t type;
  int64_t n;
};
int32_t tm_note_opaque_read(const char *text, int32_t len, struct tm_note_value *v, struct tm_buf *bytes);

#endif
