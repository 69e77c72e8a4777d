/* msgpack_json.h - values from msgpack to JSON text and back, appended to a buffer.
 *
 * 0, -1 out of space, -2 a value that the other side does not have: NaN and infinities in JSON, integers beyond 64 bits
 * and numbers beyond a double's range in msgpack. A failed writer leaves the buffer's length as it was. Texts have TM_PAD
 * readable bytes behind them. */
#ifndef TM_CODEC_MSGPACK_JSON_H
#define TM_CODEC_MSGPACK_JSON_H

#include "../abi_c.h"

/* The valid value at p as JSON. noted: with the notes (note.h) that make the way back exact; else as others read it. */
int32_t tm_msgpack_to_json(struct tm_buf *out, const char *p, int noted);
/* The JSON value text[0..len), which may have notes, as msgpack: integers as the shortest int, other numbers as
 * float64, strings as str, where no note says otherwise. */
int32_t tm_msgpack_from_json(struct tm_buf *out, const char *text, int32_t len);

/* Single values as msgpack. */
int32_t tm_msgpack_put_number(struct tm_buf *out, double v);    /* -2: NaN, infinity */
int32_t tm_msgpack_put_str(struct tm_buf *out, const char *s, int32_t len);   /* -2: not UTF-8 */
int32_t tm_msgpack_put_map(struct tm_buf *out, uint32_t pairs);               /* its head */

#endif
