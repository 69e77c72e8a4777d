/* suggest.c - nearest names by edit distance.
 *
 * The textbook dynamic programme (Lowrance and Wagner 1975): d[i][j] is the distance between the first i letters of a
 * and the first j of b; last_row remembers where each letter was last seen in a, which is what lets a swap span
 * letters inserted between. Words are cut at 63 bytes, so the table has a fixed size. */
#include "suggest.h"

#include <string.h>
#include <strings.h>

enum { WORD_MAX = 63 };

static int lower(char c) {
  return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int min_int(int a, int b) {
  return a < b ? a : b;
}

int tm_suggest_distance(const char *a, const char *b) {
  int d[WORD_MAX + 2][WORD_MAX + 2];
  int last_row[256] = { 0 };
  int la = (int)strnlen(a, WORD_MAX), lb = (int)strnlen(b, WORD_MAX);
  int far = la + lb, i, j;

  /* row and column 0 are a border no edit can come from; the empty words are at 1 */
  for (i = 0; i <= la + 1; i++) d[i][0] = far;
  for (j = 0; j <= lb + 1; j++) d[0][j] = far;
  for (i = 0; i <= la; i++) d[i + 1][1] = i;
  for (j = 0; j <= lb; j++) d[1][j + 1] = j;
  for (i = 1; i <= la; i++) {
    int last_col = 0;

    for (j = 1; j <= lb; j++) {
      int row = last_row[lower(b[j - 1])], col = last_col;
      int same = lower(a[i - 1]) == lower(b[j - 1]);
      int best = d[i][j] + !same;

      if (same) last_col = j;
      best = min_int(best, min_int(d[i + 1][j], d[i][j + 1]) + 1);
      d[i + 1][j + 1] = min_int(best, d[row][col] + (i - row - 1) + 1 + (j - col - 1));
    }
    last_row[lower(a[i - 1])] = i;
  }
  return d[la + 1][lb + 1];
}

const char *tm_suggest(const char *word, const char *const *names, int n) {
  const char *best = NULL, *prefixed = NULL;
  size_t len = strlen(word);
  int best_distance = 0, prefixed_n = 0, i;

  for (i = 0; i < n; i++) {
    int distance = tm_suggest_distance(word, names[i]);
    size_t longer = strlen(names[i]) > len ? strlen(names[i]) : len;
    int limit = longer < 6 ? 1 : (int)(longer > WORD_MAX ? WORD_MAX : longer) / 3;

    if (len >= 3 && strncasecmp(word, names[i], len) == 0) {
      prefixed = names[i];
      prefixed_n++;
    }
    if (distance <= limit && (size_t)distance < longer && (best == NULL || distance < best_distance)) {
      best = names[i];
      best_distance = distance;
    }
  }
  return best != NULL ? best : prefixed_n == 1 ? prefixed : NULL;
}
