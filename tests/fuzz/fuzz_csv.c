/* fuzz_csv.c - any bytes as CSV: both scanners, in pieces of any size, against the slow reading of csv_slow.h.
 *
 * The first bytes choose delimiter, columns, --max-event and the size of the pieces. */
#include "../unit/csv_slow.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct csv_under_test *tests[2][CSV_COLUMNS + 1];
  static struct tm_buf want, got;
  static const char delimiters[] = {',', '\t'};
  if (size < 4) return 0;
  int which = data[0] & 1, columns = 1 + data[0] / 2 % CSV_COLUMNS;
  int32_t max_event = data[1] < 128 ? 16 + data[1] : 1 << 20, step = 1 + data[2] * (data[2] > 100 ? 50 : 1), len = (int32_t)size - 3;
  const char *text = (const char *)data + 3;
  if (want.cap_max == 0) {
    tm_buf_init(&want, INT32_MAX / 2);
    tm_buf_init(&got, INT32_MAX / 2);
  }
  want.len = 0;
  slow_read(text, len, delimiters[which], columns, max_event, &want);
  struct csv_under_test **t = &tests[which][columns];
  if (*t == NULL) *t = csv_begin(columns, delimiters[which]);
  for (int way = 0; way < 4; way++) {
    if (tm_json_use(way & 1 ? "portable" : NULL) == NULL) abort();
    got.len = 0;
    csv_read(*t, text, len, way & 2 ? len : step, max_event, &got);
    if (got.len != want.len || memcmp(got.data, want.data, (size_t)got.len) != 0) {
      fprintf(stderr, "way %d, wanted:\n%.*s\ngot:\n%.*s\n", way, want.len, want.data, got.len, got.data);
      abort();
    }
  }
  return 0;
}
