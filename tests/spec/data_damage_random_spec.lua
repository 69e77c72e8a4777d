--[[ A kept run (--data) that was killed, and of whose files one is damaged by lot before it is started again: bytes flipped, zeroed, cut
off or added, the file deleted, swapped with another one, or put back from an older state of the same run. Whatever it is, the run writes
what an undisturbed one does, or it refuses with words and one of the exit codes that are documented: never other rows,
never a crash, never a hang.

What an output holds after it was damaged itself is not compared, but all the others are: a file's rows are looked at where it is cut, not
from its start. DAMAGES=n: so many of each scenario (8); SEED=n: others. ]]

local h = require 'spec.helper'
local F = require 'spec.faults'

local DAMAGES, SEED = tonumber(os.getenv 'DAMAGES') or 8, tonumber(os.getenv 'SEED') or 1
local KEPT = { '--data', 'data', '--epoch', '2ms', '--rate', '15000/s' }
local EVENTS = { files = 600, rolled = 300, tables = 600, logs = 2500 }
local REFUSED = { [1] = true, [2] = true, [3] = true, [6] = true }
-- calls at which the run is killed, as parts of all it makes
local OLD, LATE = 0.45, 0.85

local function lines(text)
  local list = {}
  for line in text:gmatch '[^\n]+' do list[#list + 1] = line end
  return list
end

--- Sections of a content (F.content) by name.
local function sections(text)
  local list, at = {}, ''
  for line in (text .. '\n'):gmatch '([^\n]*)\n' do
    local name = line:match '^== (.*)$'
    if name then at = name end
    list[at] = (list[at] or '') .. line .. '\n'
  end
  return list
end

--- A place that was killed late, and a copy of what it was in the middle.
local function killed(name, input)
  for _ = 1, 20 do
    local root, old = F.place(name, input), h.path 'old'
    local calls = F.run(root, { at = 0, what = 'tell', names = F.writing }, KEPT).count
    F.remove(root)
    root = F.place(name, input)
    local first = F.run(root, { at = math.floor(calls * OLD), what = 'kill', names = F.writing }, KEPT)
    h.sh('cp -r --sparse=always %s %s', root, old)
    local second = F.run(root, { at = math.floor(calls * (LATE - OLD)), what = 'kill', names = F.writing }, KEPT)
    if first.code == 137 and second.code == 137 and h.shell('test -e ' .. root .. '/data/durable').code == 0 then return root, old end
    F.remove(root)
    F.remove(old)
  end
  error(name .. ': it was never killed twice')
end

local function flip(path, n)
  local bytes = h.read(path)
  if #bytes == 0 then return false end
  -- of a segment most is zeroes that nobody reads
  local used = #(bytes:gsub('%z+$', ''))
  if used == 0 or math.random() < 0.1 then used = #bytes end
  for _ = 1, n do
    local at = math.random(used)
    bytes = bytes:sub(1, at - 1) .. string.char(bit.bxor(bytes:byte(at), 2 ^ math.random(0, 7))) .. bytes:sub(at + 1)
  end
  h.write(bytes, path)
  return true
end

-- each gets the place, the file, all files and the older place: false when it cannot be done to this one; else what was damaged beside it
local KINDS = {
  ['a bit'] = function(place, file) return flip(place .. '/' .. file, 1) end,
  ['some bits'] = function(place, file) return flip(place .. '/' .. file, math.random(2, 40)) end,
  zeroed = function(place, file)
    local bytes = h.read(place .. '/' .. file)
    local used = #(bytes:gsub('%z+$', ''))
    if used == 0 then return false end
    local from = math.random(used)
    local n = math.min(math.random(1, 5000), #bytes - from + 1)
    h.write(bytes:sub(1, from - 1) .. ('\0'):rep(n) .. bytes:sub(from + n), place .. '/' .. file)
  end,
  cut = function(place, file)
    local bytes = h.read(place .. '/' .. file)
    local used = #(bytes:gsub('%z+$', ''))
    if used == 0 then return false end
    h.write(bytes:sub(1, math.random(0, used - 1)), place .. '/' .. file)
  end,
  added = function(place, file)
    local bytes = {}
    for i = 1, math.random(200) do bytes[i] = string.char(math.random(0, 255)) end
    h.write(h.read(place .. '/' .. file) .. table.concat(bytes), place .. '/' .. file)
  end,
  deleted = function(place, file) os.remove(place .. '/' .. file) end,
  swapped = function(place, file, all)
    local other = all[math.random(#all)]
    if other == file then return false end
    h.sh('cd %s && mv %s x && mv %s %s && mv x %s', place, file, other, file, other)
    return other
  end,
  older = function(place, file, _, old)
    if h.shell(('test -e %s/%s && ! cmp -s %s/%s %s/%s'):format(old, file, old, file, place, file)).code ~= 0 then return false end
    h.sh('cat %s/%s >%s/%s', old, file, place, file)
  end,
}
local NAMES = {}
for name in pairs(KINDS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

--- The sections of a content that a file's damage may change: its own.
local function own(file)
  return file:match '^out/(.*)' and './' .. file:match '^out/(.*)' or nil
end

describe('a kept run that was killed, of whose files one is damaged by lot', function()
  for _, name in ipairs { 'files', 'rolled', 'tables', 'logs' } do
    it('writes the right rows or refuses with words: ' .. name, function()
      math.randomseed(SEED)
      local input = F.events(EVENTS[name], SEED)
      local want = sections(F.wanted(name, input))
      math.randomseed(SEED)
      local root, old = killed(name, input)
      local all = lines(h.sh('cd %s && find data out -type f | LC_ALL=C sort', root))
      local kept = lines(h.sh('cd %s && find data -type f | LC_ALL=C sort', root))
      local done, refused, tried = 0, 0, 0
      while done < DAMAGES do
        tried = tried + 1
        assert.is_true(tried < 50 * DAMAGES)
        local file, kind, copy = all[math.random(#all)], NAMES[math.random(#NAMES)], h.path 'copy'
        if math.random() < 0.6 then file = kept[math.random(#kept)] end
        h.sh('cp -r --sparse=always %s %s', root, copy)
        -- a copy of it would tell nothing
        h.sh('ln -f %s/data/durable %s/data/durable', root, copy)
        if file == 'data/durable' then h.sh('cd %s/data && cp durable x && mv x durable', copy) end
        local other = KINDS[kind](copy, file, all, old)
        if other ~= false then
          done = done + 1
          local r = F.run(copy, nil, KEPT)
          local where = ('%s, damage %d of seed %d: %s %s %s: %s'):format(name, done, SEED, file, kind, other or '', r.err)
          if r.code == 0 then
            assert.is_nil(r.err:find('worker ended by signal', 1, true), where)
            local skip = { [own(file) or ''] = true, [type(other) == 'string' and own(other) or ''] = true }
            if name == 'rolled' and (own(file) or ''):find 'timed' then skip.timed = true end
            -- a segment of a log that nobody has read since: whoever reads it is told
            for log in pairs { [file:match '^data/logs/(%w+)/' or ''] = 1, [tostring(other):match '^data/logs/(%w+)/' or ''] = 1 } do
              if log ~= '' and h.run({ 'log', 'verify', log, '--data', copy .. '/data' }).code == 1 then skip['log ' .. log] = true end
            end
            local got = sections(F.content(copy, copy .. '/data'))
            for section, text in pairs(want) do
              if not skip[section] and section ~= '' then h.compare(text, got[section] or '', where .. section) end
            end
            for section in pairs(got) do assert.is_true(want[section] ~= nil or skip[section] ~= nil, where .. ': ' .. section) end
          else
            refused = refused + 1
            assert.is_true(REFUSED[r.code] == true, r.code .. ': ' .. where)
            assert.is_true(r.err:find('error: ', 1, true) ~= nil and #r.err > 40, where)
            assert.is_nil(r.err:find('worker ended by signal', 1, true), where)
          end
        end
        F.remove(copy)
      end
      assert.is_true(refused > 0 or DAMAGES < 15, 'nothing was refused')
      F.remove(root)
      F.remove(old)
    end)
  end
end)
