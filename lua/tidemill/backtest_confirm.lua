--[[
backtest_confirm.lua - what becomes known late: events that say that fraud was confirmed, made of labels (backtest --label-event).

Features of confirmed fraud count events of the stream that say so, such as kind = 'chargeback', with a time of their own: when it became
known. Of history whose stream has none the labels tell which events were fraud. A first pass over it finds these and writes a copy of each,
with the field of --label-event and its time moved on by --label-delay; in the backtest this file takes turns with the history by time. So
no feature knows of a fraud before it would have been known.

In the first pass no rule is asked. Copies are held until its end: one a label, of which there are at most a million.
]]

local date = require 'tidemill.library.date'.date
local history = require 'tidemill.history'
local labels_of = require 'tidemill.backtest_labels'
local lib = require 'tidemill.lib'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'

local M = {}

local PER_MS = { s = 1e-3, ms = 1, us = 1e3 }

local function refuse(message, ...) lib.raise('usage', 'backtest: ' .. message:format(...)) end

--- The field and value of --label-event.
---@param text string 'kind=chargeback'
---@param pack table
---@return string field, any value
function M.event(text, pack)
  local field, v = text:match '^([^=]+)=(.*)$'
  if not field then refuse("--label-event is FIELD=VALUE, such as kind=chargeback, got '%s'", text) end
  if not pack.fields[field] then
    local names = {}
    for name in pairs(pack.fields) do names[#names + 1] = name end
    refuse("--label-event: '%s' is no field of %s%s", field, pack.schema_path, suggest.among(field, names))
  end
  return field, labels_of.typed(pack, '--label-event', field, v)
end

--- A point in time as the field of event time is written.
local function written(pack, was, t)
  local unit = pack.time.unit or 'ms'
  if unit == 'iso8601' then return date.format(t, 'iso8601') end
  if unit == 'ns' then return ('%.0f000000'):format(t) end
  local v = t * PER_MS[unit]
  return type(was) == 'string' and ('%.0f'):format(v) or v
end

local lines = {}

--- Makes of a plan that of the first pass.
---@param o table from, labels, event_id, label_event, label_delay
function M.prepare(plan, o, input)
  local step = history.change(plan, o, input, 'backtest')
  local pack = step.rec.pack
  if input.format ~= 'json' then refuse('--label-event is for a history of JSON lines; this one is %s', input.format) end
  for _, path in ipairs(input.paths) do
    if path:find '%.gz$' or path:find '%.zst$' then
      refuse('--label-event: %s is compressed, and cannot take turns by time; unpack it', path)
    end
  end
  local field, v = M.event(o.label_event, pack)
  local labels = labels_of.read(o.labels, pack, o.event_id)
  local find, is_fraud = labels:finder(), labels.is_fraud
  for _, rule in ipairs(pack.rules) do rule.mode = 'off' end
  pack.groups, pack.cards, pack.suppress, pack.guard = {}, {}, nil, nil
  local W = {}
  function W.decided(_, t, D)
    local e = D.event
    local label = e[field] ~= v and find(e, t)
    if not label or not is_fraud[label] then return end
    local copy = value.copy(e)
    copy[field] = v
    copy[pack.time.field] = written(pack, copy[pack.time.field], t + o.label_delay)
    lines[#lines + 1] = value.json(copy)
  end
  function W.suppressed() end
  step.rec.watch = W
end

function M.lines() return lines end

return M
