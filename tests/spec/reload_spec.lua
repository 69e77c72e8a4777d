--[[ Scripts that are loaded anew (HUP) while events flow: state goes on, each event is seen once, what cannot be loaded changes nothing.

What each event must give is known from its number alone, whichever script saw it. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local system = require 'system'

local KEYS = 7

--- Counts by key in a state, with a limit that tells which script saw the event.
local function counter(limit, more)
  return ([[local tm = require 'tidemill'
    local LIMIT = %d
    local p = tm.pipeline 'p':key_by 'k':process('c', { max_keys = 100, state = { n = 0 }, on_event = function(e, s, ctx)
      s.n = s.n + 1
      ctx.emit { k = e.k, n = s.n, v = e.v, limit = LIMIT }
    end }):to(tm.sink.file(tm.setting 'out'))
    %s]]):format(limit, more or 'return p')
end

local function event(i) return ('{"ts":%d,"k":"k%d","v":%d}\n'):format(i * 10, i % KEYS, i) end

describe('scripts that are loaded anew', function()
  after_each(r.stop_all)

  local script, out, input, pipe, sent

  before_each(function()
    script, out, input = h.path 's.lua', h.path 'out', r.fifo()
    sent = 0
  end)

  local function send(n)
    for i = sent + 1, sent + n do pipe:write(event(i)) end
    sent = sent + n
    pipe:flush()
  end

  --- Starts it and sends so many events; it has loaded its scripts, as rows are there.
  local function start(n, ...)
    local p = r.start({ 'run', script, '--set', 'out=' .. out, ... }, { stdin = input })
    pipe = assert(io.open(input, 'w'))
    pipe:setvbuf 'full'
    send(n)
    r.wait_until('rows', function() return p:code() or h.shell('cat ' .. h.quote(out) .. '* ' .. h.quote(out) .. '/*').out ~= '' end)
    return p
  end

  --- Asks for it while events flow; waits until it was done, or told. what: text on stderr, the n-th time.
  local function reload(p, what, n)
    p:signal 'HUP'
    r.wait_until(what, function()
      send(20)
      system.sleep(0.001)
      assert.is_nil(p:code(), p:err())
      return select(2, p:err():gsub(what, '')) == (n or 1)
    end)
  end

  local function finish(p)
    pipe:close()
    assert.equal(0, p:wait(), p:err())
  end

  --- Each event once and in order, counted as if nothing had happened; the limits, as they were met first.
  local function judge()
    local n, limits = {}, {}
    local v = 0
    for _, row in ipairs(h.rows(h.read(out))) do
      v = v + 1
      n[row.k] = (n[row.k] or 0) + 1
      assert.equal(v, row.v)
      assert.equal(n[row.k], row.n)
      if limits[#limits] ~= row.limit then limits[#limits + 1] = row.limit end
    end
    assert.equal(sent, v)
    return limits
  end

  for _, kept in ipairs { false, true } do
    it('keep their state while events flow' .. (kept and ', in a data folder too' or ''), function()
      h.write(counter(1), script)
      local p = start(3000, unpack(kept and { '--data', h.path 'data' } or {}))
      for i = 2, 4 do
        h.write(counter(i), script)
        reload(p, 'the scripts were loaded anew', i - 1)
        send(2000)
      end
      finish(p)
      assert.same({ 1, 2, 3, 4 }, judge())
    end)
  end

  it('that are wrong change nothing, and say where', function()
    h.write(counter(1), script)
    local p = start(1000)
    h.write(counter(2) .. '\nlocal x = = 3', script)
    reload(p, 'before run on', 1)
    assert.truthy(p:err():find("s.lua:%d+: .*'<eof>' expected near 'local'"), p:err())
    h.write(counter(3, 'error("not today")'), script)
    reload(p, 'before run on', 2)
    assert.truthy(p:err():find('s.lua:%d+: not today'), p:err())
    h.write((counter(4):gsub('n = 0', "n = 'text'"):gsub('s.n = s.n %+ 1', 's.n = e.k')), script)
    reload(p, 'before run on', 3)
    assert.truthy(p:err():find("state 'p/c' is not the one that is kept", 1, true) or
      p:err():find("state 'p/c' is not the one that the data folder keeps", 1, true), p:err())
    h.write(counter(5, "while true do end"), script)
    reload(p, 'before run on', 4)
    h.write(counter(6, "return p:to(tm.sink.file '/no/such/folder/x')"), script)
    reload(p, 'before run on', 5)
    h.write(counter(7), script)
    reload(p, 'the scripts were loaded anew')
    send(500)
    finish(p)
    assert.same({ 1, 7 }, judge())
  end)

  it('keep windows, joins, timers and clocks that are open, and sinks of every kind', function()
    local dir = h.path 'dir'
    assert(os.execute('mkdir -p ' .. h.quote(dir)) == 0)
    local function all(name) return ([[local tm = require 'tidemill'
      local dir = tm.setting 'out'
      local tx = tm.pipeline 'tx':event_time { field = 'ts', unit = 'ms', out_of_order = '1s' }
      local win = tx:key_by 'k':window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count(), s = tm.agg.sum 'v' }
        :to(tm.sink.file { path = dir .. '/win.ndjson' })
      local hops = tx:key_by 'k':window('h', tm.window.hopping('20s', '5s')):aggregate { n = tm.agg.count() }
        :to(tm.sink.file { path = dir .. '/hops.ndjson.gz', roll = { size = '10K' } })
      local last = tx:key_by 'k':process('idle', { ttl = '1h', state = { n = 0 },
        on_event = function(e, s, ctx) s.n = s.n + 1 ctx.timer('t', ctx.time + 500) end,
        on_timer = function(_, s, ctx) ctx.emit { k = ctx.key, n = s.n, at = ctx.time } end })
        :to(tm.sink.sqlite { path = dir .. '/out.db', table = 'idle' })
      local other = tm.pipeline 'other':event_time { field = 'ts', unit = 'ms', out_of_order = '1s' }
        :filter(function(e) return e.v %% 3 == 0 end)
      local both = tx:join('both', other, { on = 'k', within = { before = '1s', after = '1s' }, kind = 'left', as = 'o' })
        :map(function(e) return { v = e.v, o = e.o and e.o.v, by = %s } end):to(tm.sink.log 'both')
      return { win, hops, last, both }]]):format(name) end
    local function content()
      return h.shell(([[cd %s && cat win.ndjson; for f in $(ls hops*gz | sort -V); do gzip -dc $f; done
        sqlite3 out.db 'select k, n, at from idle']]):format(h.quote(dir))).out
    end
    local function logged(data)
      local got = h.run { 'log', 'cat', 'both', '--data', data }
      assert.equal(0, got.code, got.err)
      return got.out
    end
    h.write(all '0', script)
    out = dir
    local data = h.path 'data'
    local p = start(3000, '--data', data)
    for i = 1, 5 do
      h.write(all '0' .. '\n', script)
      reload(p, 'the scripts were loaded anew', i)
      send(math.random(2000))
    end
    finish(p)
    local got, log = content(), logged(data)
    os.execute('rm -rf ' .. h.quote(dir) .. '; mkdir -p ' .. h.quote(dir))
    local text = {}
    for i = 1, sent do text[i] = event(i) end
    local plain_data = h.path 'data'
    local plain = h.run({ 'run', script, '--quiet', '--set', 'out=' .. dir, '--data', plain_data }, table.concat(text))
    assert.equal(0, plain.code, plain.err)
    h.compare(content(), got, 'a run that was never disturbed')
    h.compare(logged(plain_data), log, 'its log')
    assert.is_true(#got > 10000 and #log > 10000)
  end)

  it('may have more and fewer pipelines and sinks', function()
    local more = h.path 'more'
    h.write(counter(1), script)
    local p = start(1000)
    h.write(counter(2, ("return { tm.pipeline 'q':select { 'v' }:to(tm.sink.file '%s'), p }"):format(more)), script)
    reload(p, 'the scripts were loaded anew')
    local from = sent
    send(1000)
    r.wait_until('rows of the new one', function() return r.size(more) > 0 end)
    h.write(counter(3), script)
    reload(p, 'the scripts were loaded anew', 2)
    send(1000)
    finish(p)
    assert.same({ 1, 2, 3 }, judge())
    local rows = h.rows(h.read(more))
    assert.is_true(#rows > 0 and rows[1].v <= from and rows[1].v > 1000)
    for i = 2, #rows do assert.equal(rows[i - 1].v + 1, rows[i].v) end
    assert.is_true(rows[#rows].v <= sent - 1000)
  end)

  it('sixty times take no memory and no descriptors', function()
    h.write(counter(1), script)
    local p = start(1000)
    local function held()
      local fds = #h.lines(h.shell('ls /proc/' .. p:worker_alone() .. '/fd').out)
      return p:resident(), fds
    end
    local bytes, fds
    for i = 1, 60 do
      h.write(counter(i), script)
      reload(p, 'the scripts were loaded anew', i)
      if i == 20 then bytes, fds = held() end
    end
    local bytes_now, fds_now = held()
    finish(p)
    assert.equal(fds, fds_now)
    -- sanitizers keep what was freed
    if h.slowness() == 1 then assert.is_true(bytes_now < bytes * 1.2 + 2e6, bytes_now .. ' bytes, ' .. bytes .. ' after 20') end
    judge()
  end)

  it('survive kills of the host, before, while and after', function()
    local data = h.path 'data'
    local text = {}
    for i = 1, 60000 do text[i] = event(i) end
    local from = h.write(table.concat(text), h.path 'in.ndjson')
    local args = { 'run', script, '--set', 'out=' .. out, '--quiet', '--data', data, '--epoch', '5ms', '--from', from,
      '--rate', '100000/s' }
    math.randomseed(3)
    for i = 1, 30 do
      h.write(counter(i), script)
      local p = r.start(args)
      local before = r.size(out)
      r.wait_until('rows', function() return p:code() or r.size(out) > before end)
      h.write(counter(i + 100), script)
      p:signal 'HUP'
      system.sleep(math.random() * 0.06)
      if p:code() then break end
      local pids = { p.pid, p:worker() }
      for _, pid in ipairs(pids) do p:signal('KILL', pid) end
      p:wait()
    end
    local got = h.run(args)
    assert.equal(0, got.code, got.err)
    sent = 60000
    assert.is_true(#judge() > 1)
  end)
end)
