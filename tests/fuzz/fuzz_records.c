/* fuzz_records.c - any bytes as records of several lines, in pieces of any size, by workers that die, against the slow reading of
 * record_slow.h. The first bytes choose the pattern, max_lines, --max-event, the size of the pieces and who dies. */
#include "../unit/record_slow.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct records_under_test *test, *after;
  static struct tm_buf want, got;
  if (size < 5) return 0;
  int which = data[0] % STARTS;
  int32_t lines_max = 1 + data[1], max_event = 1 + data[2] * (data[2] > 100 ? 100 : 1), step = 1 + data[3] * (data[3] > 100 ? 50 : 1);
  const char *text = (const char *)data + 5;
  int32_t len = (int32_t)size - 5;
  if (test == NULL) {
    tm_buf_init(&want, INT32_MAX / 2);
    tm_buf_init(&got, INT32_MAX / 2);
    test = records_begin();
    after = records_begin();
  }
  want.len = got.len = 0;
  records_start(test, which, lines_max);
  records_start(after, which, lines_max);
  int32_t parts = slow_records(text, len, which, lines_max, max_event, &want);
  int32_t found = records_read(test, after, text, len, step, data[4] % 8, max_event, &got);
  if (parts == found && got.len == want.len && (want.len == 0 || memcmp(got.data, want.data, (size_t)got.len) == 0)) return 0;
  fprintf(stderr, "wanted %d parts:\n%.*s\ngot %d:\n%.*s\n", parts, want.len, want.data, found, got.len, got.data);
  abort();
}
