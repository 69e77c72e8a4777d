--[[
pack_cards.lua - the scorecards of a pack: points for the band in which a field or feature lies, added up and added to the event's score.

  scorecards/base.lua
  return { id = 'base', mode = 'enforce', base = 0, reason_code = 'S1', characteristics = {
    { feature = 'tx_1m', bands = { { below = 3, points = 0 }, { below = 10, points = 15 }, { points = 40 } }, missing = 0 },
    { field = 'channel', values = { pos = 0, web = 10 }, other = 5, missing = 5, reason_code = 'S1C' },
  } }

Bands go up: the first whose `below` is larger than the number; the last one has none and takes the rest. `missing` are the points of a
nil (0 if it is left out), `other` those of a value that is not listed. A characteristic that gives points above 0 is a reason of the
decision, with its points as score.
]]

local files = require 'tidemill.pack_files'
local fault, shown, sorted = files.fault, files.shown, files.sorted

local M = {}

local CARD = { id = { 'string', required = "id = 'base'" }, mode = { one_of = { 'off', 'enforce' } }, base = { 'number' },
  reason_code = { 'string' }, characteristics = { 'table', required = 'characteristics = { { feature = …, bands = … } }' } }
local CHARACTERISTIC = { feature = { 'string' }, field = { 'string' }, bands = { 'table' }, values = { 'table' }, other = { 'number' },
  missing = { 'number' }, reason_code = { 'string' } }
local BAND = { below = { 'number' }, points = { 'number', required = 'points = 10' } }

local function read_bands(set, path, name, given)
  local bands = {}
  for i, band in ipairs(given) do
    set:check(path, ('band %d of %s'):format(i, name), band, BAND, name)
    local last = given[i + 1] == nil
    if (band.below == nil) ~= last then
      fault(set:place(path, name), ("%s: every band but the last has `below`; the last one takes the rest"):format(name))
    end
    if i > 1 and band.below and (band.below ~= band.below or band.below <= given[i - 1].below) then
      fault(set:place(path, name), ('%s: bands go up, found %s behind %s'):format(name, shown(band.below), shown(given[i - 1].below)))
    end
    bands[i] = { below = band.below or math.huge, points = band.points }
  end
  if #bands == 0 then fault(set:place(path, name), name .. ' has no band') end
  return bands
end

local function read_characteristic(set, pack, path, card, v)
  set:check(path, "a characteristic of '" .. card.id .. "'", v, CHARACTERISTIC, card.id)
  local name = v.feature or v.field
  if not name or v.feature and v.field then
    fault(set:place(path, 'characteristics', card.id), "a characteristic has either 'feature' or 'field'")
  end
  local place = set:place(path, name, card.id)
  if v.feature then
    set:known(place, 'the pack has no feature', name, sorted(pack.features))
  else
    pack.need_field(pack, place, 'the scorecard:', name)
  end
  if (v.bands == nil) == (v.values == nil) then fault(place, ("'%s' has either 'bands' or 'values'"):format(name)) end
  if v.bands and v.other then fault(place, ("'%s': 'other' goes with 'values'"):format(name)) end
  for _, points in pairs(v.values or {}) do
    if type(points) ~= 'number' then fault(place, ("'%s': points are numbers, got %s"):format(name, shown(points))) end
  end
  return { name = name, feature = v.feature ~= nil, bands = v.bands and read_bands(set, path, name, v.bands), values = v.values,
    other = v.other or 0, missing = v.missing or 0, code = v.reason_code or card.code }
end

--- The scorecards of a pack.
---@return table list { id, mode, base, code, characteristics }
function M.load(set, pack)
  local list, by_id = {}, {}
  for _, rule in ipairs(pack.rules) do by_id[rule.id] = rule.place end
  for _, name in ipairs(set:names('scorecards', '.lua')) do
    local v, path = set:value(name)
    set:check(path, 'the scorecard', v, CARD)
    local card = { id = v.id, mode = v.mode or 'enforce', base = v.base or 0, code = v.reason_code or v.id, characteristics = {},
      place = set:place(path, v.id) }
    if by_id[v.id] then fault(card.place, ("the id '%s' is taken at %s"):format(v.id, files.told(by_id[v.id]))) end
    by_id[v.id] = card.place
    for i, c in ipairs(v.characteristics) do card.characteristics[i] = read_characteristic(set, pack, path, card, c) end
    if #card.characteristics == 0 then fault(card.place, "the scorecard has no characteristic") end
    list[#list + 1] = card
  end
  return list
end

--- The points of a value.
---@param c table a characteristic
function M.points(c, v)
  if v == nil then return c.missing end
  if c.values then return c.values[v] or c.other end
  if type(v) ~= 'number' then return c.missing end
  local bands = c.bands
  for i = 1, #bands do
    if v < bands[i].below then return bands[i].points end
  end
  return c.missing
end

return M
