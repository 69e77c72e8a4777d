--[[
siblings.lua - several records of one key in a state: sessions of a key that are open at once, its overlapping count windows.

A key's own record, found as any other, is the head. Further ones are numbered from 2 by their owner: their key is the bytes of the
head's key and the number. No head has such a key: one that has as many parts as that would be has a part more. All of them need
a cell `number`, 0 in heads.

Whoever removes a head has removed the others.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local cast = ffi.cast

local M = {}

local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'

---@param opened table of state.open; its key is that of key_by
---@return table find(head, n), make(head, n): a record, typed, the first only to be read; head(r); key_of(r): in Lua's form;
---   hold(r), held(): a record again behind a commit; walk(list): a walk over keys, see there
function M.new(opened)
  local ptr, typ, key = opened.ptr, opened.type, state.key
  local alike = #opened.names == 2   -- keys of the step have two parts, too
  local S = {}

  local function set_key(head, n)
    local bytes = C.tm_ffi_state_key(ptr, head, key_len)
    key.len = 0
    local rc = C.tm_ffi_key_string(key, bytes, key_len[0])
    if rc == 0 then rc = C.tm_ffi_key_number(key, n) end
    if rc == 0 and alike then rc = C.tm_ffi_key_boolean(key, 1) end
    if rc ~= 0 then state.key_failed(rc) end
  end

  --- The record of that number, which is there; 1: the head itself.
  function S.find(head, n)
    if n == 1 then return head end
    set_key(head, n)
    return cast(typ, C.tm_ffi_state_find(ptr, key))
  end

  --- The same announced, made if it is new.
  function S.make(head, n)
    set_key(head, n)
    local p = C.tm_ffi_state_write(ptr, key)
    if p == nil then state.failed(ptr, ptr.code) end
    local r = cast(typ, p)
    r.number = n
    return r
  end

  --- Makes the key at hand that of the head of r.
  local function set_head_key(r)
    local bytes = C.tm_ffi_state_key(ptr, r, key_len)
    C.tm_ffi_key_parts(bytes, key_len[0], parts)
    key.len = parts[0].len
    ffi.copy(key.bytes, parts[0].text, key.len)
  end

  --- The head of a record, only to be read.
  function S.head(r)
    if r.number == 0 then return r end
    set_head_key(r)
    return cast(typ, C.tm_ffi_state_find(ptr, key))
  end

  --- The key that a record belongs to, in Lua's form.
  function S.key_of(r)
    return state.key_of(ptr, S.head(r), opened.names, opened.composite)
  end

  local held, held_len = ffi.new('char[?]', ffi.sizeof 'struct tm_key'), 0

  --- A commit is about to come, behind which S.held() gives this record again.
  function S.hold(r)
    local bytes = C.tm_ffi_state_key(ptr, r, key_len)
    held_len = key_len[0]
    ffi.copy(held, bytes, held_len)
  end

  function S.held()
    key.len = held_len
    ffi.copy(key.bytes, held, held_len)
    return cast(typ, C.tm_ffi_state_find(ptr, key))
  end

  --- A walk over all keys in order of their arrival, which may rest across commits.
  ---@param list function (head, numbers): puts the numbers of a key's records into the list, in their order; how many
  ---@return function begin(); function next(): the next record, only to be read, or nil, which ends the walk
  function S.walk(list)
    local cursor, numbers, n, at = nil, {}, 0, 0
    local function begin()
      cursor, n, at = C.tm_ffi_cursor_new(ptr), 0, 0
      if cursor == nil then
        cursor = nil
        raise('memory', 'no memory to walk a state (--memory)')
      end
    end
    local function next_record()
      while cursor do
        if at < n then
          local head = C.tm_ffi_cursor_at(cursor)
          at = at + 1
          -- a head goes with the last of its records
          if head ~= nil then return S.find(cast(typ, head), numbers[at]) end
        else
          local p = C.tm_ffi_cursor_next(cursor)
          if p ~= nil then
            local r = cast(typ, p)
            if r.number == 0 then n, at = list(r, numbers), 0 end
          elseif cursor.done ~= 0 then
            C.tm_ffi_cursor_free(cursor)
            cursor = nil
          end
        end
      end
      return nil
    end
    return begin, next_record
  end

  return S
end

return M
