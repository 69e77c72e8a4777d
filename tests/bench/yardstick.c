/* yardstick.c - what plain C needs for the same work when it trusts its input: the loop that the other figures
 * are held against.
 *
 *   yardstick t0|t1 FILE [CHUNK_BYTES]
 *
 * t0 counts the events whose amount is above 100 and prints the count to stderr. t1 writes ts, id, card, merchant and
 * amount of those as JSON to stdout. Lines are found with memchr, fields with memmem in the order in which gen_cards
 * writes them; nothing is validated: no grammar, no UTF-8, no types. The file is read in chunks of the size the host
 * uses, a line cut by the chunk's end is moved to the front. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_DEFAULT = 256 * 1024, OUT_SIZE = 64 * 1024, LINE_MAX_BYTES = 4096 };

static char out[OUT_SIZE + LINE_MAX_BYTES];
static size_t out_used;

/* The number at p, digits and one point only; *end is set behind it. */
static double number_read(const char *p, const char **end) {
  double v = 0, scale = 1;
  for (; *p >= '0' && *p <= '9'; p++) v = v * 10 + (*p - '0');
  if (*p == '.')
    for (p++; *p >= '0' && *p <= '9'; p++, scale *= 10) v = v * 10 + (*p - '0');
  *end = p;
  return v / scale;
}

static int out_flush(void) {
  for (size_t done = 0; done < out_used;) {
    ssize_t n = write(STDOUT_FILENO, out + done, out_used - done);
    if (n <= 0) return -1;
    done += (size_t)n;
  }
  out_used = 0;
  return 0;
}

/* The five fields are the first five, so the row is the line's text up to the amount's end. */
static int row_write(const char *line, const char *amount_end) {
  size_t n = (size_t)(amount_end - line);
  memcpy(out + out_used, line, n);
  out_used += n;
  out[out_used++] = '}';
  out[out_used++] = '\n';
  return out_used >= OUT_SIZE ? out_flush() : 0;
}

/* Whole lines in text[0..len); returns the bytes used, or -1. */
static ssize_t lines_run(const char *text, size_t len, int rows, long *count) {
  static const char key[] = "\"amount\":";
  const char *p = text, *end = text + len, *lf;
  while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
    const char *found = memmem(p, (size_t)(lf - p), key, sizeof key - 1), *after;
    if (found != NULL && number_read(found + sizeof key - 1, &after) > 100) {
      ++*count;
      if (rows && row_write(p, after) != 0) return -1;
    }
    p = lf + 1;
  }
  return p - text;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fputs("usage: yardstick t0|t1 FILE [CHUNK_BYTES]\n", stderr);
    return 2;
  }
  size_t chunk = argc > 3 ? strtoul(argv[3], NULL, 10) : CHUNK_DEFAULT, have = 0;
  char *text = malloc(chunk + LINE_MAX_BYTES);
  int fd = open(argv[2], O_RDONLY), rows = strcmp(argv[1], "t1") == 0;
  long count = 0;
  ssize_t n = -1;
  if (text == NULL || fd < 0) goto failed;
  while ((n = read(fd, text + have, chunk - have)) > 0) {
    have += (size_t)n;
    ssize_t used = lines_run(text, have, rows, &count);
    if (used < 0) goto failed;
    have -= (size_t)used;
    memmove(text, text + used, have);
  }
  if (n == 0 && out_flush() == 0) {
    fprintf(stderr, "%ld\n", count);
    free(text);
    close(fd);
    return 0;
  }
failed:
  perror("yardstick");
  free(text);
  return 1;
}
