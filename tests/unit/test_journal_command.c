/* test_journal_command.c - `tidemill journal` and `tidemill snapshot` over a real data folder: what they print, their exit codes, damage and
 * the way out. The folder is made of epochs whose sizes are known here. */
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "../../host/command/commands.h"
#include "../../host/durable/data_dir.h"
#include "../../host/durable/journal.h"
#include "../../host/durable/payload.h"
#include "unit.h"

static char base[] = "/tmp/test_journal_command.XXXXXX", dir[200], out[65536], said[8192];

static void file_read(int fd, char *text, size_t size) {
  ssize_t n = pread(fd, text, size - 1, 0);

  text[n > 0 ? n : 0] = '\0';
  close(fd);
}

/* Runs a command with up to three words: its exit code, stdout in `out`, stderr in `said`. */
static int run(int (*command)(int argc, char *const *argv), const char *a, const char *b, const char *c) {
  char path[2][300];
  const char *const words[] = { a, b, c };
  char *argv[4];
  int argc = 0, code, fds[2], old[2];

  for (int i = 0; i < 3 && words[i] != NULL; i++) argv[argc++] = strdup(words[i]);
  argv[argc] = NULL;
  fflush(stdout);
  fflush(stderr);
  for (int i = 0; i < 2; i++) {
    snprintf(path[i], sizeof path[i], "%s/printed.%d", base, i);
    fds[i] = open(path[i], O_RDWR | O_CREAT | O_TRUNC, 0600);
    old[i] = dup(i + 1);
    dup2(fds[i], i + 1);
  }
  code = command(argc, argv);
  fflush(stdout);
  for (int i = 0; i < 2; i++) {
    dup2(old[i], i + 1);
    close(old[i]);
  }
  file_read(fds[0], out, sizeof out);
  file_read(fds[1], said, sizeof said);
  while (argc > 0) free(argv[--argc]);
  return code;
}

static void folder_make(void) {
  struct tm_journal_options o = { .io = &tm_io_real, .segment_size = 64 << 10 };
  unsigned char fixed[TM_PAYLOAD_ZERO];
  static const char bytes[3000] = { 'x', 'y' };
  struct tm_journal_scan scan;
  struct tm_data_dir d;
  struct tm_journal *j;
  struct tm_err err;

  if (tm_data_dir_open(&d, &tm_io_real, dir, TM_DATA_USE, &err) != 0 || tm_data_dir_meta_write(&d, 0, 0, "", 0, &err) != 0 ||
      tm_journal_scan(d.io, dir, d.id, &scan, &err) != 0) {
    CHECK(0, "%s", err.detail);
    return;
  }
  o.dir = dir;
  o.id = d.id;
  j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(d.io, &scan);
  CHECK(j != NULL, "%s", err.detail);
  for (int e = 1; j != NULL && e <= 50; e++) {
    tm_journal_begin(j);
    tm_payload_start(fixed, 5);
    tm_journal_put(j, fixed, TM_PAYLOAD_START);
    tm_journal_put(j, "head!", 5);
    for (int i = 0; i < 2; i++) {
      tm_payload_range(fixed, (uint64_t)(e + 3000 * i), sizeof bytes);
      tm_journal_put(j, fixed, TM_PAYLOAD_RANGE);
      tm_journal_put(j, bytes, sizeof bytes);
    }
    tm_payload_zero(fixed, 100, 7);
    tm_journal_put(j, fixed, TM_PAYLOAD_ZERO);
    CHECK(tm_journal_end(j) == (uint64_t)e, "epoch %d", e);
    while (tm_journal_step(j) > 0) {}
  }
  /* in use: looked at all the same, not repaired */
  CHECK(run(tm_command_journal, "ls", dir, NULL) == 0 && strstr(said, "in use by process") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "repair", "--accept-loss", dir) == 2 && strstr(said, "in use by process") != NULL, "%s", said);
  CHECK(j == NULL || tm_journal_close(j, &err) == 0, "closed");
  tm_data_dir_close(&d);
}

static void test_usage(void) {
  CHECK(run(tm_command_journal, NULL, NULL, NULL) == 2 && strstr(said, "journal takes ls, verify, cat or repair") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "verfy", dir, NULL) == 2 && strstr(said, "did you mean 'journal verify'?") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "ls", NULL, NULL) == 2 && strstr(said, "name the data folder") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "ls", dir, "more") == 2 && strstr(said, "takes one folder") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "ls", "--accept-loss", dir) == 2 && strstr(said, "unknown option") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "ls", "/tmp/nothing/there", NULL) == 2 && strstr(said, "there is no data folder") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "--help", NULL, NULL) == 0 && strstr(out, "Usage: tidemill journal ls") != NULL, "%s", out);
  CHECK(run(tm_command_snapshot, "mke", dir, NULL) == 2 && strstr(said, "did you mean 'snapshot make'?") != NULL, "%s", said);
  CHECK(run(tm_command_snapshot, "ls", NULL, NULL) == 2 && strstr(said, "name the data folder") != NULL, "%s", said);
  CHECK(run(tm_command_snapshot, "--help", NULL, NULL) == 0 && strstr(out, "Usage: tidemill snapshot ls") != NULL, "%s", out);
}

static void test_whole(void) {
  int lines = 0;

  CHECK(run(tm_command_journal, "ls", dir, NULL) == 0 && strstr(out, "1 - ") != NULL && strstr(out, "sealed") != NULL && strstr(out, "closed") != NULL, "%s", out);
  CHECK(run(tm_command_journal, "ls", "--json", dir) == 0 && strstr(out, "{\"segment\":\"0000000000000001\",") != NULL, "%s", out);
  CHECK(run(tm_command_journal, "verify", dir, NULL) == 0 && strstr(out, "whole up to epoch 50 (snapshot of epoch 0") != NULL, "%s", out);
  CHECK(run(tm_command_journal, "cat", dir, NULL) == 0, "%s", said);
  for (const char *p = out; *p != '\0'; p++) lines += *p == '\n';
  CHECK(lines == 50 && strncmp(out, "{\"epoch\":1,\"bytes\":6053,\"head\":5,\"ranges\":3,\"changed\":6000,\"zeroed\":7}\n", 71) == 0, "%d lines: %.100s", lines, out);
  CHECK(run(tm_command_snapshot, "ls", dir, NULL) == 0 && strstr(out, "snapshot.") == NULL, "none yet: %s", out);
  CHECK(run(tm_command_snapshot, "make", dir, NULL) == 0 && strncmp(out, "snapshot of epoch 50: ", 22) == 0, "%s%s", out, said);
  CHECK(run(tm_command_snapshot, "make", "--json", dir) == 0 && strncmp(out, "{\"made\":false,\"epoch\":50,", 25) == 0, "%s", out);
  CHECK(run(tm_command_snapshot, "verify", dir, NULL) == 0 && strstr(out, "snapshot.0000000000000032") != NULL && strstr(out, "whole") != NULL, "%s", out);
  CHECK(run(tm_command_snapshot, "verify", "--json", dir) == 0 && strstr(out, "\"epoch\":50,") != NULL && strstr(out, "\"whole\":true") != NULL, "%s", out);
  CHECK(run(tm_command_journal, "repair", dir, NULL) == 0 && strstr(said, "nothing is damaged") != NULL, "%s", said);
}

static void flip(const char *name, int64_t at) {
  char path[300], byte = 0;
  int fd;

  snprintf(path, sizeof path, "%s/%s", dir, name);
  fd = open(path, O_RDWR);
  CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1, "%s", path);
  byte ^= 16;
  CHECK(pwrite(fd, &byte, 1, at) == 1, "%s", path);
  close(fd);
}

static void test_damaged(void) {
  char wanted[300];

  flip("snapshot.0000000000000032", 5000);
  CHECK(run(tm_command_snapshot, "verify", dir, NULL) == 1 && strstr(out, "damaged") != NULL && strstr(said, "check value") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "verify", dir, NULL) == 0 && strstr(said, "warning") != NULL && strstr(out, "snapshot of epoch 0") != NULL, "%s", said);
  flip("snapshot.0000000000000032", 5000);
  flip("journal.0000000000000003", 20000);
  snprintf(wanted, sizeof wanted, "tidemill journal repair --accept-loss %s", dir);
  CHECK(run(tm_command_journal, "verify", dir, NULL) == 1 && strstr(said, wanted) != NULL, "%s", said);
  CHECK(run(tm_command_journal, "ls", dir, NULL) == 1 && strstr(out, "damaged") != NULL, "%s", out);
  CHECK(run(tm_command_journal, "repair", dir, NULL) == 1 && strstr(said, wanted) != NULL, "%s", said);
  CHECK(run(tm_command_journal, "repair", "--accept-loss", dir) == 0 && strstr(said, "the state is that of epoch 50") != NULL, "%s", said);
  CHECK(run(tm_command_journal, "verify", dir, NULL) == 0 && strstr(out, "whole up to epoch 50 (snapshot of epoch 50") != NULL, "%s%s", out, said);
}

int main(void) {
  char command[300];

  CHECK(mkdtemp(base) != NULL, "a folder");
  snprintf(dir, sizeof dir, "%s/data", base);
  test_usage();
  folder_make();
  test_whole();
  test_damaged();
  snprintf(command, sizeof command, "rm -r %s", base);
  CHECK(system(command) == 0, "removed");
  return unit_end("test_journal_command");
}
