--[[
view_field.lua - one field of a view: how Lua reads and writes it. Loaded anew for every field: a function whose
prototype is its own is specialized by the compiler, so that the column's address, the slot and the functions below
are constants in a trace, and reading a number is a load and a comparison.
]]

local V, node, read_special, read_written, read_base = ...
local st, gens, vals, written, log_undo = V.st, V.gens, V.vals, V.written, V.log_undo
local cells, codes, words, strs = node.cells, node.codes, node.words, node.strs
local slot, top, plain = node.slot, node.parent == V.root, not node.rule
local write, parent, type = V.write, node.parent, type
local s = V.slots + slot

--- The field's value in the row at hand: what was written, a number, a string made before, or whatever else it is.
local function read()
  if st.writes ~= 0 then
    if gens[slot] == st.gen then
      local v = vals[slot]
      if type(v) ~= 'table' then return v end
      return (read_special(node, v))
    end
    if not top then return (read_written(node)) end
  end
  local row = st.row
  local v = cells[row].num
  if v == v then return v end
  local text = words[codes[row]] or strs[row]
  if text then return text end
  return (read_base(node, row))
end

--- Writes it: plain values go straight to the slot (the log is kept where the pipeline forks).
local function assign(v)
  local t = type(v)
  if top and plain and (t == 'number' or t == 'string' or t == 'boolean') and st.arrays == 0 then
    if log_undo then log_undo(slot) end
    local gen = st.gen
    if gens[slot] ~= gen then
      gens[slot] = gen
      local w = st.writes + 1
      written[st.base + w] = slot
      st.writes, st.dirty = w, 1
    end
    vals[slot] = v
    if t == 'number' then
      s.kind, s.num = 1, v
    elseif t == 'string' then
      s.kind, s.text, s.len = 2, v, #v
    else
      s.kind = v and 3 or 4
    end
    return
  end
  return (write(parent, node, v))
end

return read, assign
