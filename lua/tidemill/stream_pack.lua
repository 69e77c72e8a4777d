--[[
stream_pack.lua - the builder's `pack`: a folder of rules between two streams. stream.lua has the others, and loads this.

Before the step stand what the pack says of its events: its schema, and its event time where the stream has none yet.
]]

local lib = require 'tidemill.lib'

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe

  local function fields_of(where, given)
    local known = require 'tidemill.decisions'.FIELDS
    if given == nil then return known end
    local list = stream.need_fields(where, "pack: 'fields'", given)
    for _, name in ipairs(list) do
      local ok = false
      for _, k in ipairs(known) do ok = ok or k == name end
      if not ok then
        fault(where, "pack: decisions have no field '" .. name .. "'" .. require 'tidemill.suggest'.among(name, known))
      end
    end
    return list
  end

  --- Decisions of a rule pack about each event.
  function methods:pack(dir, options)
    local where = place()
    if type(dir) ~= 'string' or dir == '' then fault(where, "pack takes the folder of a pack: :pack 'packs/card_fraud', got " ..
      describe(dir)) end
    local o = stream.options(where, 'pack', options)
    local fields = fields_of(where, o.fields)
    local tm = require 'tidemill.api'.make {}
    local pack = require 'tidemill.pack'.load(require 'tidemill.shadow'.folder_of(dir, tm), { where = where, site = o.site, tm = tm })
    local s = self:schema(pack.schema)
    if not stream.before(stream.record(s), 'event_time') then s = s:event_time(pack.time) end
    return (step(s, 'pack', { name = o.name or pack.name, pack = pack, emit = o.emit or 'all', fields = fields, options = {} }))
  end

  --- The streams of a folder given in place of a script: the default input, judged.
  function stream.of_pack(dir)
    local name = dir:gsub('/+$', ''):match '[^/]*$'
    return stream.pipeline(name:find '%w' and name:sub(1, 60) or 'pack'):pack(dir)
  end

  --- Is there a pack in this folder?
  function stream.is_pack(dir) return lib.host.read(dir:gsub('/+$', '') .. '/pack.lua') ~= nil end
end
