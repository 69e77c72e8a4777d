/* script_host.h - what the library may ask of the host while it loads, and when an event fails: nothing per event.
 *
 *   text(name)  read(path)  print(line)                                    texts
 *   add_source  add_sink  add_pipeline  add_out                            the plan, over flow.h
 *   position(pipeline, row)  origin(pipeline, row)                         where an event came from
 *   rollback(pipeline, row)  failure(pipeline, step, code, example, ...)   an event that failed
 *   failed_again(pipeline, row, entry)
 *   warn(text)  inform(text)  stop_run(why)  fail_run(why)                               words on stderr, and how the run ends
 *   table_packer(array_mt, null)                                           see lua_table.h: the one that is called per event
 *
 * Each may raise, so the library calls them where that is caught. What is asked per event goes through abi.h instead. */
#ifndef TM_ENGINE_SCRIPT_HOST_H
#define TM_ENGINE_SCRIPT_HOST_H

#include "flow.h"

struct lua_State;

/* What they work on; borrowed, and as long-lived as the Lua state. */
struct tm_script_host {
  struct tm_flows *flows;
  struct tm_shared *shared;
  struct tm_changes *changes;
  struct tm_buf packed;      /* the value of type any packed last */
  struct tm_buf read;        /* the file read last */
  uint64_t print_second;     /* the second at hand, and prints in it */
  int prints;
  int changed;               /* what was refused is not what the data folder keeps: exit code 6 */
};

/* Pushes a table of the functions. May raise for lack of memory. */
void tm_script_host_push(struct lua_State *L, struct tm_script_host *h);

#endif
