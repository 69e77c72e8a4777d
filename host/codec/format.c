/* format.c - the table of formats (format.h). */
#include "format.h"

#include <string.h>

#include "csv.h"
#include "fluent.h"
#include "json.h"
#include "msgpack_codec.h"

static void json_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event,
                        struct tm_cut *cut) {
  *cut = (struct tm_cut){0};
  cut->used = tm_json_decode(b, text, len, final, max_event, &cut->lines);
  cut->blank = cut->lines - b->rows;
}

static void json_explain(const struct tm_batch *b, int32_t row, char *why, int32_t why_size) {
  tm_json_explain(b->raw + b->off[row], b->len[row], why, why_size);
}

static void msgpack_explain(const struct tm_batch *b, int32_t row, char *why, int32_t why_size) {
  tm_msgpack_explain(b->raw + b->off[row], b->len[row], why, why_size);
}

static int32_t line_skip(struct tm_skip *skip, const char *text, int32_t len, const char **broken) {
  const char *lf = memchr(text, '\n', (size_t)len);
  *broken = NULL;
  skip->over = lf != NULL;
  return lf == NULL ? len : (int32_t)(lf - text) + 1;
}

const struct tm_format tm_formats[TM_FORMATS] = {
    [TM_FORMAT_JSON] = {.name = "json",
                        .first = 1,
                        .mark = "\xEF\xBB\xBF",
                        .place = "",
                        .not_object = "not an object: an event is a JSON object on one line",
                        .decode = json_decode,
                        .skip = line_skip,
                        .fill = tm_json_fill,
                        .explain = json_explain},
    [TM_FORMAT_MSGPACK] = {.name = "msgpack",
                           .first = 0,
                           .place = "@",
                           .not_object = "not an object: an event is a msgpack map",
                           .decode = tm_msgpack_decode,
                           .skip = tm_msgpack_skip,
                           .fill = tm_msgpack_fill,
                           .explain = msgpack_explain},
    [TM_FORMAT_CSV] = {.name = "csv",
                       .first = 1,
                       .mark = "\xEF\xBB\xBF",
                       .place = "",
                       .decode = tm_csv_decode,
                       .skip = line_skip,
                       .fill = tm_csv_fill,
                       .explain = tm_csv_explain,
                       .head = tm_csv_head},
    [TM_FORMAT_LINES] = {.name = "lines",
                         .first = 1,
                         .mark = "\xEF\xBB\xBF",
                         .place = "",
                         .decode = tm_csv_decode,
                         .skip = line_skip,
                         .fill = tm_csv_fill,
                         .explain = tm_csv_explain},
    [TM_FORMAT_FLUENT] = {.name = "fluent",
                          .first = 0,
                          .place = "@",
                          .decode = tm_fluent_decode,
                          .skip = tm_msgpack_skip,
                          .fill = tm_msgpack_fill,
                          .explain = tm_fluent_explain},
};

int32_t tm_format_find(const char *name) {
  for (int32_t i = 0; i < TM_FORMATS; i++)
    if (strcmp(tm_formats[i].name, name) == 0) return i;
  return -1;
}

void tm_ffi_batch_fill(struct tm_batch *b, int32_t id) { tm_formats[b->format].fill(b, id); }
