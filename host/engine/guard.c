/* guard.c - the deadline (guard.h).
 *
 * The signal handler touches only the marker, its own counters, lua_sethook (which LuaJIT, like Lua, allows in a
 * handler) and raise(2). Looks are a fraction of the deadline apart; LOOKS of them in a row at the same place are
 * the deadline; the self-test needs one, as processor time is counted in ticks of some ms. Time is this thread's processor
 * time: an event that waits for a busy machine or a disk is not overdue, and a worker without work is not woken. */
#include "guard.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 8, SELF_TEST_MS = 8, SELF_TEST_LOOKS = 1, SELF_TEST_LOOKS_MAX = 400 };

static struct {
  lua_State *L;
  struct tm_marker *marker;
  struct tm_marker last;
  volatile sig_atomic_t looks;
  volatile sig_atomic_t armed;
  volatile sig_atomic_t testing;
  timer_t timer;
  int started;
  int64_t deadline_ms;
} guard;

static void deadline_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_pushliteral(L, "tidemill: deadline");
  lua_error(L);
}

static void profile_nothing(void *data, lua_State *L, int samples, int vmstate) {
  (void)data;
  (void)L;
  (void)samples;
  (void)vmstate;
}

static int same_place(const struct tm_marker *a, const struct tm_marker *b) {
  return a->serial == b->serial && a->pipeline == b->pipeline && a->row == b->row && a->step == b->step && a->sub == b->sub;
}

static void on_timer(int sig) {
  (void)sig;
  int saved = errno;
  struct tm_marker now = *guard.marker;
  if (now.serial == 0 || !same_place(&now, &guard.last)) {
    guard.last = now;
    guard.looks = 0;
  } else if (++guard.looks >= (guard.testing ? SELF_TEST_LOOKS : LOOKS)) {
    guard.armed = 1;
    lua_sethook(guard.L, deadline_hook, LUA_MASKCOUNT, 1);
    raise(SIGPROF);
    if (guard.testing && guard.looks > SELF_TEST_LOOKS_MAX) {
      static const char text[] = "tidemill: error: this LuaJIT does not stop endless compiled loops; run with --no-jit\n";
      ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
      (void)n;
      _exit(1);
    }
  }
  errno = saved;
}

static int set_period(int64_t deadline_ms) {
  int64_t ns = deadline_ms * 1000000 / LOOKS;
  struct itimerspec every = {.it_interval = {ns / 1000000000, ns % 1000000000}, .it_value = {ns / 1000000000, ns % 1000000000}};
  return timer_settime(guard.timer, 0, &every, NULL);
}

int tm_guard_unwanted(void) { return getenv("TIDEMILL_UNGUARDED") != NULL; }

int tm_guard_start(lua_State *L, struct tm_marker *marker, int64_t deadline_ms, struct tm_err *err) {
  guard.L = L;
  guard.marker = marker;
  guard.deadline_ms = deadline_ms;
  guard.last = *marker;
  struct sigaction sa = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
  sigemptyset(&sa.sa_mask);
  struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  /* the profiler's own ticks are not needed, only its checks: the longest interval it takes */
  luaJIT_profile_start(L, "li1000", profile_nothing, NULL);
  if (sigaction(SIGALRM, &sa, NULL) != 0 || timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &guard.timer) != 0)
    return tm_err_set(err, 1, "guard-timer", "no timer for the deadline of scripts: %s", strerror(errno));
  guard.started = 1;
  if (set_period(deadline_ms) != 0)
    return tm_err_set(err, 1, "guard-timer", "no timer for the deadline of scripts: %s", strerror(errno));
  return 0;
}

int tm_guard_disarm(void) {
  if (!guard.armed) return 0;
  guard.armed = 0;
  guard.looks = 0;
  lua_sethook(guard.L, NULL, 0, 0);
  return 1;
}

int tm_guard_self_test(lua_State *L, struct tm_err *err) {
  static const char loop[] = "local n = 0 while true do n = n + 1 end";
  struct tm_marker *marker = guard.marker;
  if (luaL_loadbuffer(L, loop, sizeof loop - 1, "=self-test") != 0)
    return tm_err_set(err, 1, "guard-self-test", "self-test: %s", lua_tostring(L, -1));
  struct tm_marker before = *marker;
  *marker = (struct tm_marker){.serial = -1};
  guard.testing = 1;
  set_period(SELF_TEST_MS);
  int rc = lua_pcall(L, 0, 0, 0);
  marker->serial = 0;
  guard.testing = 0;
  int stopped = tm_guard_disarm();
  lua_pop(L, 1);
  set_period(guard.deadline_ms);
  *marker = before;
  if (rc == 0 || !stopped)
    return tm_err_set(err, 1, "guard-self-test", "this LuaJIT does not stop endless loops; run with --no-jit");
  return 0;
}

void tm_guard_stop(void) {
  if (!guard.started) return;
  guard.started = 0;
  timer_delete(guard.timer);
  luaJIT_profile_stop(guard.L);
}
