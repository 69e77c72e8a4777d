/* number_text.h - doubles to text.
 *
 * The fewest digits that read back to the same double, and of these the nearest to its value (Raffaello Giulietti,
 * "The Schubfach way to render doubles"); or a fixed number of decimals, rounded from the exact value.
 * No library call, no locale, no state, no allocation: any thread may call, signal handlers too. Reading numbers
 * is the reader's (json_scanner.h). */
#ifndef TM_CODEC_NUMBER_TEXT_H
#define TM_CODEC_NUMBER_TEXT_H

#include "../abi_c.h"

/* Bytes a writer may touch behind its start; the text itself is at most 25 of them. */
enum { TM_NUMBER_ROOM = 48 };

/* Writes a finite v into out, which has TM_NUMBER_ROOM bytes; returns the end of the text. Layout as in JavaScript:
 * plain from 1e-6 to below 1e21, else d.ddde-7, without "+" and leading zeros in the exponent. -0 is "-0". */
char *tm_number_write(char *out, double v);

/* Bytes tm_number_decimal may touch: sign, 309 digits, point, 18 digits, and the slack of its last store. */
enum { TM_DECIMAL_ROOM = 352 };

/* Writes a finite v rounded to `digits` (0..18) decimals, half to even of the exact value of the double, always with
 * all of them, into out, which has TM_DECIMAL_ROOM bytes; returns the end. The sign of a negative v stays ("-0.00"). */
char *tm_number_decimal(char *out, double v, int32_t digits);

#endif
