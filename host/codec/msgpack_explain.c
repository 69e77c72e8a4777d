/* msgpack_explain.c - what is wrong with a message, in words (msgpack_codec.h). Slow, never on the hot path. */
#include <stdio.h>

#include "json.h"
#include "msgpack_bytes.h"
#include "msgpack_codec.h"

static const char *type_name(const char *p) {
  switch (tm_msgpack_leads[(unsigned char)*p].type) {
    case TM_MSGPACK_INT:
    case TM_MSGPACK_FLOAT: return "a number";
    case TM_MSGPACK_NIL: return "nil";
    case TM_MSGPACK_FALSE:
    case TM_MSGPACK_TRUE: return "a boolean";
    case TM_MSGPACK_STR: return "a text";
    case TM_MSGPACK_BIN: return "bin";
    case TM_MSGPACK_EXT: return "an extension";
    case TM_MSGPACK_ARRAY: return "an array";
    default: return "a map";
  }
}

int32_t tm_msgpack_explain(const char *text, int32_t len, char *why, int32_t why_size) {
  const char *p = text, *end = text;
  struct tm_msgpack_walk w = {.values = 1};
  enum tm_msgpack_fault fault = tm_msgpack_check(&p, text + len, 0);
  int32_t at = (int32_t)(p - text);
  size_t size = (size_t)why_size;
  switch (fault) {
    case TM_MSGPACK_SHORT:
      tm_msgpack_walk(&w, &end, text + len);
      snprintf(why, size, "byte %d: the input ends inside a message, which needs at least %llu more bytes", len,
               (unsigned long long)tm_msgpack_walk_least(&w));
      return len;
    case TM_MSGPACK_C1: snprintf(why, size, "byte %d: 0xc1 begins no value of msgpack", at); break;
    case TM_MSGPACK_KEY:
      snprintf(why, size, "byte %d: expected a text as the key of a map, found %s", at, type_name(p));
      break;
    case TM_MSGPACK_UTF8: snprintf(why, size, "byte %d: a text that is not UTF-8", at); break;
    case TM_MSGPACK_DEEP: snprintf(why, size, "byte %d: nested deeper than %d levels", at, TM_JSON_DEPTH_MAX); break;
    default: snprintf(why, size, "nothing is wrong");
  }
  return at;
}
