--[[
view_out.lua - how an event leaves a view: as its own bytes, with changes patched into them, or member by member.

Fields nobody wrote keep their bytes, also inside nested objects; objects without a base are written with their keys in
byte order, after `select` in the order selected. Loaded anew for every view, with its view.lua (see there).
]]

local lib, spec, V = ...
local C, ffi, bit = lib.C, lib.ffi, lib.bit
local ffi_string, band, rshift = ffi.string, bit.band, bit.rshift
local type, table = type, table
local NULL, REMOVED, OBJECT, SPAN, ROW, EMPTY_ROW = lib.NULL, lib.REMOVED, lib.OBJECT, lib.SPAN, lib.ROW, lib.EMPTY_ROW
local raise = lib.raise
local batch, flow, mk = spec.batch, lib.flow, lib.flow.marker
local st, gens, vals, written, nodes, root = V.st, V.gens, V.vals, V.written, V.nodes, V.root
local eff, path_of, unescape = V.eff, V.path_of, V.unescape
local overlay = V.overlay

-- Events of msgpack and CSV as text ---------------------------------------------

local packed = batch and batch.format ~= C.TM_FORMAT_JSON
local text_len = ffi.new 'int32_t[1]'

--- Pointer and length of the event itself as JSON text.
function V.event_text(row)
  if not packed then return batch.raw + batch.off[row], batch.len[row] end
  local text = C.tm_ffi_batch_text(batch, row, st.types, text_len)
  if text == nil then raise('memory', 'an event is too large to be read as text') end
  return text, text_len[0]
end

--- From here on the text of this cell is JSON. false: it is anyway.
V.to_text = packed and function(cell)
  if C.tm_ffi_cell_text(batch, cell) ~= 0 then raise('memory', 'a value is too large to be read as text') end
end

-- Leaving ---------------------------------------------------------------

-- value texts of the patches at hand
local texts = lib.texts

local function check_put(rc, node)
  if rc == 0 then return end
  if rc == -2 then
    raise('not-writable', "field '" .. path_of(node) .. "' holds a value that JSON cannot carry: " ..
      'NaN, infinity or text that is not UTF-8')
  end
  raise('row-too-large', 'the row is larger than an output row may be (16 MiB)')
end

local encode_object

--- Does an object that came as text (v) still hold what the text says?
local function unchanged(node, v)
  local list = v.order
  for i = 1, #list do
    local child = list[i]
    local now, was = vals[child.slot], v.texts[i]
    if gens[child.slot] ~= st.gen then return false end
    if now ~= was and not (type(now) == 'table' and now.from == was and unchanged(child, now)) then return false end
  end
  local n = 0
  for i = st.base + 1, st.base + st.writes do
    local child = nodes[written[i]]
    if child.parent == node and vals[child.slot] ~= REMOVED then n = n + 1 end
  end
  return n == #list
end

local function put_text(node, buf)
  local v = vals[node.slot]
  if v == SPAN or v == ROW then v = V.span(node) end
  local t = type(v)
  if node.typ and t ~= 'table' then
    check_put(node.typ.encode(buf, v), node)
  elseif t == 'number' then
    check_put(C.tm_ffi_note_number(buf, v), node)
  elseif t == 'string' then
    check_put(C.tm_ffi_json_string(buf, v, #v), node)
  elseif t == 'boolean' then
    check_put(C.tm_ffi_buf_put(buf, v and 'true' or 'false', v and 4 or 5), node)
  elseif v == NULL then
    check_put(C.tm_ffi_buf_put(buf, 'null', 4), node)
  elseif v.from and unchanged(node, v) then
    check_put(C.tm_ffi_buf_put(buf, v.from.text, #v.from.text), node)
  elseif v == OBJECT or v.order then
    encode_object(node, buf)
  elseif v.text then
    check_put(C.tm_ffi_buf_put(buf, v.text, #v.text), node)
  else
    if node.view and V.written_below(node) then return encode_object(node, buf) end
    if v.raw.col then return check_put(C.tm_ffi_cell_put(buf, batch, v.raw.col + st.home), node) end
    local kind, p, len = V.cell(v.raw, st.home)
    if kind == 7 or kind == 8 or kind == 11 then p, len = p - 1, len + 2 end
    check_put(C.tm_ffi_buf_put(buf, p, len), node)
  end
end

function V.written_below(node)
  for i = st.base + 1, st.base + st.writes do
    local p = nodes[written[i]].parent
    while p do
      if p == node then return true end
      p = p.parent
    end
  end
  return false
end

--- The member of `node` on the way to `n`, or nil.
local function towards(node, n)
  while n do
    local p = n.parent
    if p == node then return n end
    n = p
  end
  return nil
end

--- An object without base: its members in byte order.
local function encode_members(node, list, buf)
  local first = true
  check_put(C.tm_ffi_buf_put(buf, '{', 1), node)
  for i = 1, #list do
    local child = list[i]
    if gens[child.slot] == st.gen and vals[child.slot] ~= REMOVED then
      if not first then check_put(C.tm_ffi_buf_put(buf, ',', 1), node) end
      first = false
      check_put(C.tm_ffi_json_string(buf, child.name, child.len), child)
      check_put(C.tm_ffi_buf_put(buf, ':', 1), child)
      put_text(child, buf)
    end
  end
  check_put(C.tm_ffi_buf_put(buf, '}', 1), node)
end

--- Members in a given order, then in the order in which they were written.
local function in_order(node, first)
  local list, n, there = {}, 0, {}
  for i = 1, #first do
    local child = first[i]
    n = n + 1
    list[n], there[child] = child, true
  end
  for i = st.base + 1, st.base + st.writes do
    local child = nodes[written[i]]
    if child.parent == node and not there[child] then
      n = n + 1
      list[n] = child
    end
  end
  return list
end

local NONE = {}

local function by_name(a, b) return a.name < b.name end

--- Members of this object in byte order, names met as data included.
local function all_sorted(node)
  if not node.extra then return node.sorted end
  local list = in_order(node, NONE)
  table.sort(list, by_name)
  return list
end

--- The nodes of an object without base, in its order.
local function members(node)
  if not node.parent then
    if st.gen % 1 ~= 0 then return in_order(node, NONE) end
  elseif gens[node.slot] == st.gen then
    local v = vals[node.slot]
    if type(v) == 'table' and v.order then return in_order(node, v.order) end
  end
  return all_sorted(node)
end

--- The changes below `node` as a patch; value texts go to `texts`.
local function patch_of(node)
  local patch = node.patch
  if not patch then patch = C.tm_ffi_patch_new(); node.patch = patch end
  C.tm_ffi_patch_reset(patch)
  for i = st.base + 1, st.base + st.writes do
    local child = towards(node, nodes[written[i]])
    if child and child.seen ~= st.gen then
      child.seen = st.gen
      if gens[child.slot] == st.gen and vals[child.slot] == REMOVED then
        C.tm_ffi_patch_remove(patch, child.name, child.len)
      else
        local here = gens[child.slot] == st.gen
        local off = texts.len
        if here and type(vals[child.slot]) ~= 'table' then
          put_text(child, texts)
        else
          -- nested changes lie in `texts` themselves, so the merged text is made beside it
          local own = lib.nested_buf(child)
          own.len = 0
          if here then put_text(child, own) else encode_object(child, own) end
          off = texts.len
          check_put(C.tm_ffi_buf_put(texts, own.data, own.len), child)
        end
        C.tm_ffi_patch_set(patch, child.name, child.len, off, texts.len - off)
      end
    end
  end
  for i = st.base + 1, st.base + st.writes do
    local child = towards(node, nodes[written[i]])
    if child then child.seen = 0 end
  end
  return patch
end

function encode_object(node, buf)
  local base, row = eff(node)
  local text, len
  if row ~= EMPTY_ROW then text, len = V.base_text(base, row) end
  if not text then
    return encode_members(node, members(node), buf)
  end
  local patch = patch_of(node)
  check_put(C.tm_ffi_patch_apply(patch, text, len, texts.data, buf), node)
end

--- The event as JSON text, appended to buf.
function V.encode(buf)
  if st.writes == 0 then
    if st.row == EMPTY_ROW then
      check_put(C.tm_ffi_buf_put(buf, '{}', 2), root)
    else
      check_put(C.tm_ffi_buf_put(buf, V.event_text(st.row)), root)
    end
    return
  end
  texts.len = 0
  encode_object(root, buf)
end

--- Pointer and length of the event as JSON text, valid until the next text is made.
function V.own_text()
  if st.writes == 0 and st.row ~= EMPTY_ROW then return V.event_text(st.row) end
  local buf = lib.encode_buf
  buf.len = 0
  V.encode(buf)
  return buf.data, buf.len
end

--- The object at `node` as JSON text, appended to buf; arrays that were read and changed in this call included.
function V.encode_node(node, buf)
  if st.arrays ~= 0 then V.settle_arrays() end
  if not node.parent then return V.encode(buf) end
  texts.len = 0
  local v = gens[node.slot] == st.gen and vals[node.slot]
  if v == ROW then v = V.span(node) end
  if type(v) == 'table' and (v.text or v.from) then return put_text(node, buf) end
  encode_object(node, buf)
end

local NOT_FINITE = ' cannot carry: NaN or an infinity'
local what = { [C.TM_FORMAT_JSON] = 'JSON' .. NOT_FINITE, [C.TM_FORMAT_CSV] = 'CSV' .. NOT_FINITE,
  [C.TM_FORMAT_LINES] = 'a line' .. NOT_FINITE,
  [C.TM_FORMAT_MSGPACK] = "msgpack cannot carry: an integer beyond 64 bits, or a number beyond a double's range" }

--- The event as it stands cannot be written: which of its fields is it?
local function not_writable(out)
  local text, name = lib.encode_buf, lib.scratch
  text.len, name.len = 0, 0
  V.encode(text)
  local found = C.tm_ffi_out_fault(text.data, text.len, out.format, name) == 1
  raise('not-writable', (found and "field '" .. ffi_string(name.data, name.len) .. "'" or 'the row') ..
    ' holds a value that ' .. what[out.format])
end

--- The row does not fit the format of the output.
local function not_fitting(out)
  lib.scratch.len = 0
  C.tm_ffi_out_why(out, lib.scratch)
  raise('not-writable', ffi_string(lib.scratch.data, lib.scratch.len))
end

local function out_failed(rc, out)
  if rc == -2 then not_writable(out) end
  if rc == -3 then not_fitting(out) end
  raise('row-too-large', "this event's rows exceed --max-rows or 16 MiB")
end

--- Writes the event as it stands to one output.
function V.emit(out)
  if st.writes == 0 and st.row ~= EMPTY_ROW then
    local rc = C.tm_ffi_out_raw(out, flow, batch, st.row, st.types)
    if rc ~= 0 then out_failed(rc, out) end
    return
  end
  local len = out.buf.len
  local rc = C.tm_ffi_out_written(out, flow, batch, st, overlay, st.gen % 1 ~= 0 and 1 or 0)
  if rc == 0 then return end
  if rc == -1 or rc == -3 then out_failed(rc, out) end
  -- nested objects are Lua's; so is saying which value cannot be written
  out.buf.len = len
  C.tm_ffi_out_begin(out, batch, st.home)
  V.encode(out.buf)
  rc = C.tm_ffi_out_end(out, flow)
  if rc ~= 0 then out_failed(rc, out) end
end

--- `select` just before a sink: the fields' bytes go out without a detour.
function V.emit_select(out, plan, fields_of, n)
  local len, rc = out.buf.len
  if st.writes == 0 and st.row ~= EMPTY_ROW then
    rc = C.tm_ffi_out_select(out, flow, batch, st.row, plan)
  else
    rc = C.tm_ffi_out_select_written(out, flow, batch, st, overlay, plan)
  end
  if rc == 0 then return end
  -- what Lua must write, and a field that cannot be written and is to be named: the way of one by one
  if rc == -1 or rc == -3 then out_failed(rc, out) end
  out.buf.len = len
  local row, gen, writes, base, log = st.row, st.gen, st.writes, st.base, st.log
  V.select(fields_of, n)
  V.emit(out)
  V.restore(row, gen, writes, base, log)
end

--- Counts a row for a sink that keeps nothing; tally: the out's. What a death undoes is kept before what names the
--- event, as in codec/out.c.
function V.emit_nothing(out, tally)
  local row = mk.row
  if out.event ~= row then
    out.event_rows, out.rows_mark = 0, out.rows
    if row >= 0 and tally.event ~= row then
      tally.before = tally.events
      tally.event = row
      tally.events = tally.before + 1
    end
    out.event = row
  end
  out.event_rows, out.rows = out.event_rows + 1, out.rows + 1
end
local keys_tape = ffi.new 'struct tm_tape'

--- The keys of the object at `node`, in its order, as a new list.
function V.keys(node)
  local base, row = eff(node)
  local text, len
  if row ~= EMPTY_ROW then text, len = V.base_text(base, row) end
  local list = {}
  if not text then
    local from = members(node)
    for i = 1, #from do
      local child = from[i]
      if gens[child.slot] == st.gen and vals[child.slot] ~= REMOVED then list[#list + 1] = child.name end
    end
    return list
  end
  texts.len = 0
  local patch = V.keys_patch
  if not patch then patch = C.tm_ffi_patch_new(); V.keys_patch = patch end
  C.tm_ffi_patch_reset(patch)
  local names = {}
  for i = st.base + 1, st.base + st.writes do
    local child = nodes[written[i]]
    if child.parent == node and gens[child.slot] == st.gen then
      names[#names + 1] = child.name
      if vals[child.slot] == REMOVED then C.tm_ffi_patch_remove(patch, child.name, child.len)
      else C.tm_ffi_patch_set(patch, child.name, child.len, 0, 0) end
    end
  end
  if C.tm_ffi_patch_keys(patch, text, len, keys_tape) ~= 0 then raise('memory', 'out of memory') end
  for i = 0, keys_tape.n - 1 do
    local cell = keys_tape.cells[i]
    if cell.off < 0 then list[i + 1] = names[-cell.off]
    elseif band(cell.tag, 15) == 8 then list[i + 1] = unescape(text + cell.off, rshift(cell.tag, 4))
    else list[i + 1] = ffi_string(text + cell.off, rshift(cell.tag, 4)) end
  end
  return list
end
