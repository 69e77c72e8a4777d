--[[ Runs that are kept (--data) in which a chosen call of the system fails (no such device any more, a full disk, an interruption), or moves
half of its bytes. Such a run ends in order with words about it, or goes on; it is never killed by a signal, hangs or says that all is well
when it is not. Started again without the fault it has written what an undisturbed run writes, byte for byte (faults.lua).
FAULTS=all: at each call; without it FAULTS_FAILS (8) of each kind. ]]

local h = require 'spec.helper'
local F = require 'spec.faults'

local FAILS = tonumber(os.getenv 'FAULTS_FAILS') or 8
local EVENTS = { files = 300, rolled = 120, tables = 120, logs = 800 }
local KEPT = { '--data', 'data', '--epoch', '2ms', '--rate', '50000/s' }

-- errno of Linux, and what a message about it says
local EINTR, EIO, ENOSPC = 4, 5, 28
local WORDS = { [EINTR] = { 'Interrupted' }, [EIO] = { 'Input/output error' }, [ENOSPC] = { 'No space left', 'no space left' } }

local function says(err, words)
  for _, word in ipairs(words) do
    if err:find(word, 1, true) then return true end
  end
  return false
end

local function try(name, input, want, fault)
  local root = F.place(name, input)
  local first = F.run(root, fault, KEPT)
  local where = ('%s at call %d: %s%s'):format(fault.what, fault.at, first.told, first.err)
  assert.is_true(first.told ~= '' or first.count < fault.at, 'call ' .. fault.at .. ' was not met')
  assert.is_true(first.code ~= nil and first.code <= 3, where .. tostring(first.code))
  assert.is_nil(first.err:find('signal', 1, true), where)
  if first.code ~= 0 then
    -- what SQLite meets it may tell in other words
    assert.is_true(says(first.err, WORDS[fault.what]) or first.err:find('%.db: ') ~= nil, where)
    local said = first.err:match 'tidemill: error: ([^\n]*)' or ''
    assert.is_truthy(said:find '%w[./]%w' or said:find '%f[%w]data%f[%W]' or said:find('the folder', 1, true), where)
  else
    h.compare(want, F.content(root, root .. '/data'), where)
  end
  local second = F.run(root, nil, KEPT)
  assert.equal(0, second.code, where .. second.err)
  h.compare(want, F.content(root, root .. '/data'), where)
  F.remove(root)
  return first.told ~= '', first.code
end

describe('a kept run in which a call of the system', function()
  for _, name in ipairs { 'files', 'rolled', 'tables', 'logs' } do
    it('fails tells it and goes on when it is started again: ' .. name, function()
      math.randomseed(6)
      local input = F.events(EVENTS[name])
      local want = F.wanted(name, input)
      local tried, met, ended = 0, 0, 0
      for _, kind in ipairs { { EIO, F.writing }, { ENOSPC, F.writing }, { EINTR, F.writing }, { 'short', 'write,pwrite' }, { EIO, F.reading } } do
        for _, at in ipairs(F.choose(name, input, kind[2], KEPT, kind[1] == 'short' and math.ceil(FAILS / 2) or FAILS)) do
          local was, code = try(name, input, want, { at = at, what = kind[1], names = kind[2] })
          tried = tried + 1
          if was then met = met + 1 end
          if code ~= 0 then ended = ended + 1 end
          if kind[1] == 'short' then assert.equal(0, code) end
        end
      end
      assert.is_true(met >= 0.7 * tried, met .. ' of ' .. tried)
      assert.is_true(ended >= FAILS, 'few faults have ended a run: ' .. ended)
    end)
  end

  it('has no room for a while waits, and goes on by itself', function()
    math.randomseed(7)
    local name = 'rolled'
    local input = F.events(EVENTS[name])
    local want = F.wanted(name, input)
    local sites, order = F.sites(name, input, 'write,pwrite', KEPT)
    local met = 0
    for _, what in ipairs(order) do
      if what:find(' write out/', 1, true) then
        local root = F.place(name, input)
        local r = F.run(root, { at = sites[what][1], times = 2, what = ENOSPC, names = 'write,pwrite', who = 'w' }, KEPT)
        if r.told:find('/out/', 1, true) and r.code == 0 then
          met = met + 1
          h.compare(want, F.content(root, root .. '/data'), r.told)
        end
        F.remove(root)
      end
    end
    assert.is_true(met > 0)
  end)
end)
