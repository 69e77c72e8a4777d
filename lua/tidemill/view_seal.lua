--[[
view_seal.lua - the last thing done to a view before its pipeline runs: the fields that the script names are put in front.
Loaded anew for every view, with its view.lua (see there).
]]

local lib, spec, V = ...
local C, raise, fields = lib.C, lib.raise, spec.fields
local st, root = V.st, V.root
-- names compared before a table is asked; of these, how many are read on the spot. 60 upvalues are all a function has
local NAMED_MAX, SPOT_MAX = 26, 8

--- The fields that the pipeline's functions name, before any of them has run: their names become comparisons of
--- constants, which the compiler resolves, so that finding a field costs nothing in a trace. As many as a function
--- has room for are read on the spot (see view_field.lua).
function V.seal(reads, writes)
  local on_the_spot = [=[if k == %q then if st.writes == 0 then local row = st.row local v = cells%d[row].num
    if v == v then return v end local text = words%d[codes%d[row]] or strs%d[row] if text then return text end end
    return (read%d()) end ]=]
  local args, params, text = { st, V.meta.__index }, { 'st', 'other' }, {}
  local function arg(name, i, v)
    args[#args + 1], params[#params + 1] = v, name .. i
  end
  for i = 1, math.min(#reads, NAMED_MAX) do
    local node = V.field(reads[i])
    if node.col and not node.typ then
      node.codes = C.tm_ffi_fields_words(fields, node.id)
      if node.codes == nil then raise('memory', 'no memory for a field') end
      V.wire(node)
    end
    arg('read', i, root.readers[node.name])
    if i <= SPOT_MAX then
      arg('cells', i, node.cells)
      arg('words', i, node.words)
      arg('codes', i, node.codes)
      arg('strs', i, node.strs)
      text[i] = on_the_spot:format(node.name, i, i, i, i, i)
    else
      text[i] = ('if k == %q then return (read%d()) end '):format(node.name, i)
    end
  end
  local function chain(params_of, body, values)
    return assert(loadstring((params_of .. body):gsub('%s*\n%s*', ' '), '=tidemill.view'))(unpack(values))
  end
  V.meta.__index = chain('local ' .. table.concat(params, ', ') .. ' = ... return function(e, k) ',
    table.concat(text) .. 'return (other(e, k)) end', args)
  args, params, text = { V.meta.__newindex }, { 'other' }, {}
  for i = 1, math.min(#writes, NAMED_MAX) do
    arg('write', i, root.writers[V.field(writes[i]).name])
    text[i] = ('if k == %q then return (write%d(v)) end '):format(writes[i], i)
  end
  V.meta.__newindex = chain('local ' .. table.concat(params, ', ') .. ' = ... return function(e, k, v) ',
    table.concat(text) .. 'return (other(e, k, v)) end', args)
end
