/* test_aggregates.c - runs aggregates.lua beside it: the library's functions over records, on states of C, without events.
 *
 * What windows do with aggregates (merging records, taking values back) is no step of its own, so it is tried here. The Lua file
 * gets what boot.lua gets of the host, as far as aggregates need it. Run from the top folder, as all tests are. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../../host/abi_c.h"
#include "../../host/base/buf.h"
#include "../../host/codec/any.h"
#include "../../host/engine/lua_table.h"
#include "state_run.h"

/* so that the linker takes what the FFI asks for by name */
void *needed[] = {
  (void *)tm_ffi_exact_add, (void *)tm_ffi_hll_add, (void *)tm_ffi_buckets_add, (void *)tm_ffi_heavy_add, (void *)tm_ffi_ranked_put,
  (void *)tm_ffi_state_new, (void *)tm_ffi_map_next, (void *)tm_ffi_text_set, (void *)tm_ffi_changes_new, (void *)tm_ffi_key_string,
  (void *)tm_ffi_any_pack, (void *)tm_ffi_any_unpack, (void *)tm_ffi_json_number, (void *)tm_ffi_note_number, (void *)tm_ffi_buf_put,
  (void *)tm_ffi_note_opaque, (void *)tm_ffi_json_tape, (void *)tm_ffi_text_int64,
};

/* the library's buffers are the process's own and end with it */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

static int passed(lua_State *L) {
  unit_passed += (int)luaL_checkinteger(L, 1);
  return 0;
}

static struct tm_changes *changes;

static int commit(lua_State *L) {
  (void)L;
  tm_ffi_changes_commit(changes);
  return 0;
}

int main(void) {
  static struct tm_flow flow;
  static struct tm_budget budget;
  struct tm_buf packed;
  lua_State *L = luaL_newstate();
  tm_buf_init(&packed, TM_ANY_SIZE_MAX);
  luaL_openlibs(L);
  CHECK(needed[0] != NULL, "linked");
  lua_newtable(L);
  lua_pushlightuserdata(L, &flow);
  lua_setfield(L, -2, "flow");
  changes = run_changes(&budget, 0);
  lua_pushlightuserdata(L, changes);
  lua_setfield(L, -2, "changes");
  lua_pushcfunction(L, commit);
  lua_setfield(L, -2, "commit");
  lua_pushlightuserdata(L, &packed);
  lua_setfield(L, -2, "packed");
  lua_pushcfunction(L, tm_lua_table_packer);
  lua_setfield(L, -2, "table_packer");
  lua_pushcfunction(L, passed);
  lua_setfield(L, -2, "passed");
  lua_setglobal(L, "host");
  if (luaL_dofile(L, "tests/unit/aggregates.lua") != 0) {
    if (lua_istable(L, -1)) lua_getfield(L, -1, "message");
    CHECK(0, "%s", lua_tostring(L, -1));
  }
  tm_ffi_changes_free(changes);
  lua_close(L);
  tm_buf_fini(&packed);
  return unit_end("aggregates");
}
