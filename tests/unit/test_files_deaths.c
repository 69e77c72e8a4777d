/* test_files_deaths.c - rows of CSV on their way into files (files.c): killed at every instruction and whenever a file has changed
 * between two, the next worker ends with each row once, in order, and one header in front of what was empty. zlib reads what
 * is compressed. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "../../host/io/files.h"
#include "../../host/io/files_state.h"
#include "step.h"
#include "unit.h"

enum { ROW_MAX = 64 * 1024, FILES = 3, LOOKED = 1024, TEXT = 256 };

/* scanners read beyond both ends */
static const struct {
  char before[TM_PAD], rows[31], behind[TM_PAD];
} padded = {.rows = "a,1\n\"b\",2\na,3\nc,\"x\ny\"\nb,\"\"\"\"\n"};
static const char *const rows = padded.rows;
enum { ROWS_LEN = 29 };
static struct tm_csv_names columns;
static struct tm_files *files;
static struct { struct tm_files *files; struct tm_csv_out *csv; } made[2];  /* they live as long as their worker */
static struct tm_undo *undo;
static int32_t *taken;                    /* shared */
static char dir[] = "/tmp/tidemill-unit-XXXXXX", names[FILES][64];

static struct file_case {
  const char *path;                       /* in dir */
  enum tm_pack_kind pack;
  int n;
  struct { const char *name, *before, *after; } files[FILES];
} cases[] = {
    {"{k}.csv", TM_PACK_NOT, 3, {{"a.csv", "", "k,v\na,1\na,3\n"}, {"b.csv", "", "k,v\n\"b\",2\nb,\"\"\"\"\n"},
                                 {"c.csv", "k,v\nc,0\n", "k,v\nc,0\nc,\"x\ny\"\n"}}},
    {"all.csv.gz", TM_PACK_GZIP, 1, {{"all.csv.gz", "", "k,v\na,1\n\"b\",2\na,3\nc,\"x\ny\"\nb,\"\"\"\"\n"}}},
};
static const struct file_case *at;

static int64_t sizes(void) {
  int64_t n = 0;
  struct stat st;
  for (int i = 0; i < at->n; i++) n = n * 4096 + (stat(names[i], &st) == 0 ? st.st_size : 0);
  return n;
}

/* What a worker does; 0, or -1. */
static int work(void) {
  struct tm_err err = {0};
  int refused, rc = 1;
  while (*taken < ROWS_LEN)
    if (tm_files_take(files, rows + *taken, ROWS_LEN - *taken, taken, &err) <= 0) return -1;
  while (rc == 1 && tm_files_busy(files, 1, 1)) rc = tm_files_write(files, 1, 1, &refused, &err);
  return rc < 0 ? -1 : 0;
}

static void act(void) { work(); }

static int are_right(void) {
  char text[TEXT];
  for (int i = 0; i < at->n; i++) {
    gzFile f = gzopen(names[i], "rb");    /* plain files too, as they are */
    int n = f == NULL ? -1 : gzread(f, text, sizeof text);
    if (f != NULL) gzclose(f);
    if (n != (int)strlen(at->files[i].after) || memcmp(text, at->files[i].after, (size_t)n) != 0) return 0;
  }
  return 1;
}

static long wrong;

/* The next worker ends the work; the files are then put back, in place, as the child has them open. */
static void take_up(void) {
  char kept[FILES][TEXT];
  ssize_t n[FILES];
  int fds[FILES];
  struct tm_err err = {0};
  for (int i = 0; i < at->n; i++) {
    fds[i] = open(names[i], O_RDWR);
    n[i] = pread(fds[i], kept[i], TEXT, 0);
  }
  tm_undo_restore(undo);
  int rc = tm_files_open(files, &err);
  if (rc == 0) tm_files_resume(files);
  if (rc != 0 || work() != 0 || !are_right()) wrong++;
  for (int i = 0; i < at->n; i++) {
    if (ftruncate(fds[i], 0) != 0 || pwrite(fds[i], kept[i], (size_t)n[i], 0) != n[i]) abort();
    close(fds[i]);
  }
}

static void make_files(void) {
  for (int i = 0; i < at->n; i++) {
    snprintf(names[i], sizeof names[i], "%s/%s", dir, at->files[i].name);
    FILE *f = fopen(names[i], "w");
    if (f == NULL) abort();
    fputs(at->files[i].before, f);
    fclose(f);
  }
}

static void deaths(const struct file_case *c) {
  char path[64];
  struct tm_err err = {0};
  struct tm_files_how how = {.template = c->n > 1, .pack = c->pack, .max_files = FILES + 1};
  struct tm_files_memory m = {
      .state = step_memory(tm_files_state_size(how.max_files)), .names = step_memory(tm_files_names_size(how.max_files)),
      .stage = step_memory(tm_files_stage_size(ROW_MAX)), .sorted = step_memory(tm_files_sorted_size(ROW_MAX)),
      .packed = step_memory(tm_files_packed_size(ROW_MAX))};
  struct tm_csv_out *csv = tm_csv_out_new(TM_FORMAT_CSV, ',', 0, 1, &columns, NULL);
  struct step step = {.act = act, .look = take_up, .outside = sizes};
  undo = step_memory(sizeof *undo);
  taken = step_memory(sizeof *taken);
  at = c;
  make_files();
  snprintf(path, sizeof path, "%s/%s", dir, c->path);
  files = tm_files_new(path, &how, TM_FORMAT_CSV, csv, ROW_MAX, &m, &tm_io_real, undo, &err);
  made[c - cases].files = files;
  made[c - cases].csv = csv;
  CHECK(files != NULL && tm_files_open(files, &err) == 0, "%s: %s", c->path, err.detail);
  step.areas[0] = (struct step_area){.at = m.state, .size = LOOKED};
  step.areas[1] = (struct step_area){.at = m.state->files, .size = (size_t)how.max_files * sizeof *m.state->files};
  step.areas[2] = (struct step_area){.at = m.names, .size = LOOKED};
  step.areas[3] = (struct step_area){.at = m.stage, .size = LOOKED};
  step.areas[4] = (struct step_area){.at = m.sorted, .size = LOOKED};
  step.areas[5] = (struct step_area){.at = m.packed, .size = LOOKED};
  step.areas[6] = (struct step_area){.at = &undo->used, .size = sizeof undo->used};
  step.areas[7] = (struct step_area){.at = undo->log, .size = 2 * LOOKED};
  step.areas[8] = (struct step_area){.at = taken, .size = sizeof *taken};
  wrong = 0;
  if (step_through(&step)) CHECK(step.looks > 50, "%s: %ld states", c->path, step.looks);
  else printf("%s: nobody may be traced here\n", c->path);
  CHECK(wrong == 0, "%s: of %ld states %ld could not be taken up", c->path, step.looks, wrong);
  tm_undo_restore(undo);
  tm_files_resume(files);
  CHECK(work() == 0 && are_right(), "%s: undisturbed", c->path);
  for (int i = 0; i < c->n; i++) unlink(names[i]);
}

int main(void) {
  if (mkdtemp(dir) == NULL) abort();
  tm_csv_names_add(&columns, "k", 1);
  tm_csv_names_add(&columns, "v", 1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) deaths(&cases[i]);
  rmdir(dir);
  return unit_end("files_deaths");
}
