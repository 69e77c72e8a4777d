--[[
rows.lua - the events of a window as a function of apply sees them: read-only views of their texts, for the call at hand.

They are events to everything that takes one (tm.copy, pairs, emit): a proxy has a node, which says where its text lies in the step's
buffer, and its V has what others call on a view. A field is looked for when it is read, with the type that the step's own view
has for it; objects in it are such proxies again.

  node   { V, parent, name, off, len, at, got, call }   at: the event's time, false: none; got: tables read before; call: which one
]]

local lib = require 'tidemill.lib'
local value = require 'tidemill.value'
local C, ffi, bit, raise, owner = lib.C, lib.ffi, lib.bit, lib.raise, lib.owner
local ffi_string, band, rshift = ffi.string, bit.band, bit.rshift

local M = {}

local NEVER = -1e308   -- the time of an event without one, as aggregates keep it

---@param view table the view of the step
---@param checked boolean each row lives for one call
---@return table list(s, r, ref): the rows of a record, in order; retire(): the call is over
function M.new(view, checked)
  local buf, cell, row, tape = lib.buf(), ffi.new 'struct tm_cell', ffi.new 'struct tm_value', ffi.new 'struct tm_tape'
  local fields, outer = view.root.kids, view.root
  local serial, patch = 0, nil
  local V = { path_of = view.path_of, st = { time = 0 / 0 } }
  local proxy_of

  local function alive(node)
    if node.call ~= serial then raise('kept', 'row of a window kept after its call; use tm.copy') end
  end

  local function child_of(node, name)
    return { V = V, parent = node.parent == false and outer or node, name = name, len = #name }
  end

  function V.fail_bigint(node, text) view.fail_bigint(node, text) end

  local function read(node, name)
    local text = buf.data + node.off
    C.tm_ffi_json_find(text, node.len, name, #name, cell)
    local kind, off, len, num = band(cell.tag, 15), cell.off, rshift(cell.tag, 4), cell.num
    if kind <= 1 then return nil end
    local own = node.parent == false and fields[name]
    local typ = own and own.typ
    if typ and not (own.typed and (kind == 7 or kind == 8)) then return typ.read(own, kind, ffi_string(text + off, len), num) end
    if kind == 4 then return num
    elseif kind == 7 then return ffi_string(text + off, len)
    elseif kind == 2 then return false
    elseif kind == 3 then return true
    elseif kind == 8 then return view.unescape(text + off, len)
    elseif kind == 11 then return value.opaque(ffi_string(text + off, len)) end
    local child = child_of(node, name)
    if kind == 9 then
      child.off, child.len, child.call = node.off + off, len, serial
      return proxy_of(child)
    elseif kind == 10 then
      return value.decode(ffi_string(text + off, len), child)
    elseif kind == 5 then
      view.fail_bigint(child, ffi_string(text + off, len))
    end
    raise('number-range', "field '" .. view.path_of(child) .. "' holds " .. ffi_string(text + off, len) ..
      ", a number beyond a double's range")
  end

  local meta = { __metatable = 'event' }

  function meta.__index(t, name)
    local node = owner[t]
    alive(node)
    if type(name) ~= 'string' then return nil end
    local got = node.got
    if got and got[name] ~= nil then return got[name] end
    local v = read(node, name)
    if type(v) == 'table' then
      if not got then
        got = {}
        node.got = got
      end
      got[name] = v
    end
    return v
  end

  function meta.__newindex() raise('type', 'the rows of a window are read-only; tm.copy(row) gives a table to change') end

  function proxy_of(node)
    local proxy = setmetatable({ [lib.VIEW] = true }, meta)
    owner[proxy] = node
    return proxy
  end

  function V.encode_node(node, out)
    alive(node)
    local rc = C.tm_ffi_buf_put(out, buf.data + node.off, node.len)
    if rc ~= 0 then raise('row-too-large', 'a row of a window is too large to be read') end
  end

  function V.is_null(node, name)
    alive(node)
    if type(name) ~= 'string' then return false end
    C.tm_ffi_json_find(buf.data + node.off, node.len, name, #name, cell)
    return band(cell.tag, 15) == 1
  end

  function V.keys(node)
    alive(node)
    patch = patch or C.tm_ffi_patch_new()
    C.tm_ffi_patch_reset(patch)
    local text, list = buf.data + node.off, {}
    if C.tm_ffi_patch_keys(patch, text, node.len, tape) ~= 0 then raise('memory', 'no memory for the keys of a row') end
    for i = 0, tape.n - 1 do
      local off, len = tape.cells[i].off, rshift(tape.cells[i].tag, 4)
      list[i + 1] = band(tape.cells[i].tag, 15) == 8 and view.unescape(text + off, len) or ffi_string(text + off, len)
    end
    return list
  end

  local rows, proxies, nodes = {}, {}, {}

  --- The n-th row. Proxies are used again in later calls, as views are; where misuse is looked for each lives for one.
  local function nth(n, from, len, at)
    local proxy, node = proxies[n], nodes[n]
    if not proxy or checked then
      node = { V = V, parent = false, name = '', off = 0, len = 0, at = false, got = false, call = 0 }
      proxy = proxy_of(node)
      proxies[n], nodes[n] = proxy, node
    end
    node.off, node.len, node.got, node.call = from, len, false, serial
    node.at = at ~= NEVER and at
    return proxy
  end

  function rows.list(s, r, ref)
    serial = serial + 1
    buf.len = 0
    local list, n, from, off = {}, 0, 0, C.tm_ffi_ranked_next(s, r, ref, 0, row)
    while off ~= 0 do
      if C.tm_ffi_buf_put(buf, row.text, row.len) ~= 0 then raise('memory', 'no memory for the rows of a window') end
      n = n + 1
      list[n] = nth(n, from, row.len, row.num)
      -- counted here: what is read of buf.len in front of a call may be read anew behind it (lua/README, decision 29)
      from = from + row.len
      off = C.tm_ffi_ranked_next(s, r, ref, off, row)
    end
    return list
  end

  function rows.retire() serial = serial + 1 end

  return rows
end

return M
