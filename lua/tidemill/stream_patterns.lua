--[[
stream_patterns.lua - the builder's operator on patterns: match. What a pattern is, patterns.lua says. stream.lua loads this.

  match   { name, pattern: record of patterns.lua, graph, timeouts, max_partial, on_full, order_by, lateness, max_late, after_place,
            late_rows, fns }
          after_place: place in graph.stages of the stage that after_match names; late_rows: rows may come later than their time;
          lateness: ms, for emit 'retract', else nil
]]

local bytecode = require 'tidemill.bytecode'

local PARTIAL_MAX = 10000
local PARTIAL_BOUND = 200000   -- what a key's runs may be, as they are one text
local LATE_MAX, LATE_BOUND = 10000, 1e6

return function(methods, step, stream)
  local fault, place = stream.fault, stream.place

  --- Does a condition look at the match so far? Then it is asked for each.
  local function iterative(fn) return bytecode.takes(fn) > 1 end

  local function place_of_stage(graph, name)
    for i, s in ipairs(graph.stages) do if s.name == name then return i end end
  end

  --- May a match be sent when the watermark has passed its last event?
  local function sends_late(rec)
    local last, after = rec.stages[#rec.stages], rec.after
    return last.link == 'not_followed_by' or last.link == 'not_next' or after ~= nil and after.kind ~= 'no_skip'
  end

  --- Lateness and bound of corrections; nothing where late events correct nothing.
  local function corrections(where, o)
    if o.emit ~= 'retract' then
      if o.lateness == nil and o.max_late == nil then return nil end
      fault(where, ("match: '%s' is of late events that correct matches which were sent; write emit = 'retract' beside it, or let " ..
        'event_time wait longer with out_of_order'):format(o.lateness ~= nil and 'lateness' or 'max_late'))
    end
    if o.lateness == nil then
      fault(where, "match: emit = 'retract' needs to know how late an event may come: write lateness = '30s' beside it")
    end
    local ms = stream.ms_of(where, "match: 'lateness'", o.lateness, 'positive')
    local max = o.max_late or LATE_MAX
    if max < 2 or max % 1 ~= 0 or max > LATE_BOUND then
      fault(where, ("match: 'max_late' is how many events of a key are kept for late ones, a whole number from 2 to %d"):format(LATE_BOUND))
    end
    return ms, max
  end

  --- Sequences of events of a key that fit a pattern: a row each.
  function methods:match(given, options)
    local where = place()
    local patterns = require 'tidemill.patterns'
    local rec = patterns.check(where, given)
    local o = stream.options(where, 'match', options)
    if rec.within or rec.between then
      if o.unbounded then fault(where, "match: 'within' is a bound; leave 'unbounded' out") end
    elseif not o.unbounded then
      fault(where, ("match keeps what has begun for ever, as the pattern '%s' has no within; write :within '10m' behind its stages, or " ..
        'unbounded = true if that is meant'):format(rec.name))
    end
    stream.need_time(where, 'match', self, '')
    local max = o.max_partial or PARTIAL_MAX
    if max < 1 or max % 1 ~= 0 or max > PARTIAL_BOUND then
      fault(where, ("match: 'max_partial' is how many matches of a key may have begun, a whole number from 1 to %d"):format(PARTIAL_BOUND))
    end
    local lateness, max_late = corrections(where, o)
    if o.order_by == '' then fault(where, "match: 'order_by' is the name of a field, got ''") end
    local graph = require('tidemill.patterns_graph').make(rec, iterative, function(why)
      fault(where, ("match: in '%s' %s"):format(rec.name, why))
    end)
    return step(self, 'match', { name = rec.name, place = where, pattern = rec, graph = graph, timeouts = o.timeouts or false,
      max_partial = max, on_full = o.on_full or 'oldest', order_by = o.order_by, fns = graph.conditions,
      lateness = lateness, max_late = max_late, late_rows = lateness ~= nil or sends_late(rec),
      after_place = rec.after and rec.after.stage and place_of_stage(graph, rec.after.stage) or nil,
      options = { within = rec.within or rec.between, unbounded = o.unbounded, timed = true, migrate = o.migrate } })
  end
end
