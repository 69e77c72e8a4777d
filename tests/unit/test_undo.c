/* test_undo.c - changes to shared memory cut off by a death, at every place where one may strike (base/undo.c).
 *
 * A child makes a change of several words and kills itself before its n-th step; the parent puts back what was kept and
 * must find the state of before or of after, never one in between. */
#include "../../host/base/undo.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

struct world {
  struct tm_undo undo;
  int64_t a, b;
  char text[100];
};

static struct world *w;
static int step, dies_at;

static void may_die(void) {
  if (++step == dies_at) raise(SIGKILL);
}

static void change(void) {
  struct tm_undo *u = &w->undo;
  may_die();
  tm_undo_keep(u, &w->a, sizeof w->a);
  may_die();
  w->a += 1;
  may_die();
  tm_undo_keep(u, w->text, sizeof w->text);
  may_die();
  memset(w->text, 'n', sizeof w->text);
  may_die();
  tm_undo_keep(u, &w->a, sizeof w->a);  /* a second time: the oldest bytes count */
  w->a += 1;
  may_die();
  tm_undo_keep(u, &w->b, sizeof w->b);
  w->b += 1;
  may_die();
  tm_undo_done(u);
  may_die();
}

static int is_before(void) { return w->a == 1 && w->b == 2 && w->text[0] == 'o' && w->text[99] == 'o'; }
static int is_after(void) { return w->a == 3 && w->b == 3 && w->text[0] == 'n' && w->text[99] == 'n'; }

int main(void) {
  w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (w == MAP_FAILED) return 1;
  for (dies_at = 1; dies_at <= 9; dies_at++) {
    int status;
    w->undo.used = 0;
    w->a = 1;
    w->b = 2;
    memset(w->text, 'o', sizeof w->text);
    pid_t pid = fork();
    if (pid == 0) {
      change();
      _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) == (dies_at <= 8), "step %d: status %d", dies_at, status);
    int64_t used = w->undo.used;
    tm_undo_restore(&w->undo);
    CHECK(dies_at <= 7 ? is_before() : is_after(), "step %d: a %ld b %ld", dies_at, (long)w->a, (long)w->b);
    w->undo.used = used;  /* the restore itself was cut off before its last store: it is done again */
    tm_undo_restore(&w->undo);
    CHECK(dies_at <= 7 ? is_before() : is_after(), "step %d, again", dies_at);
  }
  return unit_end("undo");
}
