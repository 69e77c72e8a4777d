/* kinds.c - which rows of a batch have in all of some fields what their declared types allow, for a whole batch at once. */
#include "../abi_c.h"

void tm_ffi_kinds_rows(const struct tm_cell *const *cells, const int32_t *kinds, int32_t fields, int32_t rows, uint8_t *fine) {
  for (int32_t i = 0; i < rows; i++) fine[i] = 1;
  for (int32_t k = 0; k < fields; k++) {
    const struct tm_cell *c = cells[k];
    uint32_t allowed = (uint32_t)kinds[k];
    for (int32_t i = 0; i < rows; i++) fine[i] &= (uint8_t)(allowed >> (c[i].tag & 15) & 1);
  }
}
