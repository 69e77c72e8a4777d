--[[
codegen_dedup.lua - the text of `dedup`: the first of equal events, each change, or with keep = 'last' and `within` the last of several.

For the latter events wait in their key's record (dedup.lua) and are sent when the watermark says so: as those of a join, they are events
of a batch of their own then, made of the bytes that were kept, and what stands behind has a clock that is `within` behind.
]]

local dedup = require 'tidemill.dedup'
local operators = require 'tidemill.operators'
local value = require 'tidemill.value'

return function(emit, Gen)
  --- The key that events behind the step have, written in the view of the rows; own: the step's own, which is another one.
  local function key_behind(g, P)
    local key = g.key
    if not key then return nil end
    return { names = key.names, composite = key.composite, nodes = g:field_nodes(P.view, key.names), made = key.made }
  end

  --- Text: local key, len, the bytes of the event's key.
  local function put_key(g, view, key)
    local n = view.level
    g:put('local rc if v%d.key == ROW_KEY then rc = C.tm_ffi_key_row(key_buf, batch, %s, st0.home) else', n,
      key.cols and g:const(key.cols) or 'nil')
    g:put('rc = set_key(v%d.key, %s) end if rc ~= 0 then key_failed(rc) end', n, g:const(key.names))
  end

  --- Text: view P's row is the event `text` (of that text) at time t with this key; it is sent.
  local function put_row(g, P, text, at, key)
    local n = P.view.level
    g:put('if C.tm_ffi_kept_put(%s, batch, %s, %s) < 0 then no_room() end st%d.row = %s', P.batch, at, text, n, at)
    if g.keyed then g:put('v%d.key = %s', n, key) end
  end

  --- The function that sends the next event whose time has come.
  local function put_fire(g, step, P, D)
    local view, n, Dn = P.view, P.view.level, g:const(D)
    local outer, first, at = g.lines, g.first_step, g:fires_in_turn(D)
    g.fires[at].join = D
    g.fires[at].letter = function()
      local text = P.show(D.text, #D.text)
      return view.key_letter(), { row = pcall(value.json, text) and text or {} }
    end
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local text = %s.next(upto) if text == nil then ended = true return true end', at, Dn)
    g:begin_unit(step, view)
    if P.before then g:put('%s()', P.before) end
    put_row(g, P, 'text, #text', 'i', Dn .. '.key')
    g:put('st%d.time = %s.at', n, Dn)
    g:put('if flow.firing == 2 then %s(true) end', g:writer(view, 'partial'))
    g:put('%s()', P.sent)
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  --- dedup with keep = 'last' and within.
  local function put_last(g, step, view)
    local rec, n, clock = step.rec, view.level, g.clock
    local own, key = g:own_key(step, view), g.key
    local other = own and key
    rec.options.timed = true
    local state = g:open_state(step, dedup.numbers, other and dedup.refs_with_keys or dedup.refs, own)
    operators.shows(state, view, 'waiting')
    local D = dedup.new(rec, state, clock.ptr, key)
    local P = { source = g.kept_source(g, rec, '') }
    P.batch, P.view = g:const(P.source.batch), g:new_view(P.source)
    P.view.inherit(view)
    P.show = g.kept_text(g, P)
    local at = g:fires_in_turn(D)
    clock.timed[#clock.timed + 1] = { at = at, W = g:const(D) }
    local delayed = clock
    if Gen.is_delayed(step) then delayed, P.before = g:delay_clock(step, view, clock, rec.within) end
    g.key, g.clock = key_behind(g, P), delayed
    P.sent = g:write_function('last' .. P.view.level, '', function() g:follow(step, P.view) end)
    put_fire(g, step, P, D)
    g.key, g.clock = key, clock
    g:at(step)
    if P.before then g:put('%s()', P.before) end
    g:put('do')
    g:find_record(state, view, own)
    g.put_bytes(g, P, view)
    if other then put_key(g, view, key) end
    g:put('local now = %s(r, st%d.time, text, len, %s.w) if now then', g:const(D.put), n, clock.name)
    g:put('st%d.home = st0.home begin%d()', P.view.level, P.view.level)
    put_row(g, P, 'text, len', 'st0.home', ('%s(r)'):format(g:const(D.key_now)))
    g:put('st%d.time = st%d.time %s()', P.view.level, n, P.sent)
    g:watch_room(view)
    g:put('elseif now == false then')
    g:put_taken()
    g:put('end end')
  end

  function emit.dedup(g, step, view)
    if Gen.sends_last(step) then return put_last(g, step, view) end
    local rec = step.rec
    local last, within = rec.keep == 'last', rec.within
    local own = g:own_key(step, view)
    local numbers = last and { 'revision' } or within and { 'at' } or {}
    if rec.ttl or within then numbers[#numbers + 1] = 'written' end
    rec.options.timed = within ~= nil
    local state = g:open_state(step, numbers, last and { operators.EVENT } or {}, own)
    operators.shows(state, view, last and 'last' or within and 'within' or 'first')
    local ptr = g:const(state.ptr)
    g:at(step)
    g:put('do')
    g:find_record(state, view, own)
    g:put('local new = %s.code == 1', ptr)
    g:put_ttl(step, view, state)
    if last then
      g:put('if %s(r) then local n = r.revision r.revision = n + 1 %s(n)', g:const(operators.changed(view, state.ptr)),
        g:writer(view, 'revision'))
    elseif within then
      g:put('local t = st%d.time', view.level)
      g:put('if new or t - r.at >= %.0f or r.at - t >= %.0f then r.at = t', within, within)
      g:put_used(view, g:expiring(state, within))
    else
      g:put('if new then')
    end
    g:follow(step, view)
    g:put('end end')
  end

end
