--[[ A kept run (--data) that was killed, and whose folder, input or output somebody has changed by hand before it is started again: it
refuses to go on, and says what is wrong and what to do (faults.lua). ]]

local h = require 'spec.helper'
local F = require 'spec.faults'

local KEPT = { '--data', 'data', '--epoch', '2ms', '--rate', '15000/s' }
local RESET = 'start anew with --reset'

-- what is done in the place of the run, the exit code, and parts of what is told; `whole`: it makes no difference, and the run is whole
local CASES = {
  files = {
    { 'rm data/journal.0000000000000001', 1, 'data: a run was kept there, and its journal is gone', RESET },
    { 'rm data/journal.0*', 1, 'data: a run was kept there, and its journal is gone', RESET },
    { 'truncate -s 50 data/meta', 1, "the file 'meta' of the data folder data is damaged", 'Put back a copy' },
    { 'rm data/meta', 1, "the file 'meta' of the data folder data is missing", 'Put back a copy' },
    { 'mv data/meta x; mv data/version data/meta; mv x data/version', 1, "the file 'version' of the data folder data is", 'Put back' },
    { 'rm data/version', 1, "the file 'version' of the data folder data is missing", "echo 'tidemill data 1' >data/version" },
    { 'cd data; mv journal.0000000000000001 x; mv journal.0000000000000002 journal.0000000000000001; mv x journal.0000000000000002',
      1, 'the journal is damaged', 'tidemill journal repair --accept-loss data' },
    { 'truncate -s 30000 data/journal.0000000000000001', 1,
      "was durable, as the file 'durable' says, but the last one there is ",
      'tidemill journal repair --accept-loss data' },
    { 'rm data/files.????????????????', 1,
      'is gone: it says which files of out/hops/{shop}.csv were begun behind the last durable epoch', RESET },
    { 'for f in data/files.????????????????; do printf x | dd of=$f bs=1 seek=20 conv=notrunc 2>/dev/null; done',
      1, 'is damaged at byte 0', RESET },
    { 'rm data/files.*.count', whole = true },
    { 'rm data/durable', whole = true },
    { 'truncate -s 10 data/durable', whole = true },
    { 'head -c 1000 in.ndjson >x; cp x in.ndjson', 1, 'in.ndjson: has 1000 bytes, but ', RESET },
    { "sed -i '1s/card/CARD/' in.ndjson", 1, 'in.ndjson: begins otherwise than the file that was read' },
    { 'rm in.ndjson', 3, 'in.ndjson: cannot be read: No such file' },
    { 'rm out/windows.ndjson', 1, 'out/windows.ndjson: has 0 bytes, but ', 'Put the file back', RESET },
    { 'rm out/hops/s1.csv', 1, 'out/hops/s1.csv: was written to, and cannot be opened any more. Put it back', RESET },
    { 'rm -r out', 3, 'out/late.ndjson: cannot be written: No such file or directory; make its folder first' },
    { "sed -i '1s/^/xxxx/' out/windows.ndjson", 1, 'out/windows.ndjson: the bytes before byte ', 'somebody has changed the file', RESET },
    { 'sed -i 1d out/windows.ndjson; cat in.ndjson >>out/windows.ndjson', 1, 'out/windows.ndjson: the bytes before byte ', RESET },
    { "sed -i '2s/^/xxxx/' out/hops/s1.csv; cat in.ndjson >>out/hops/s1.csv", 1, 'out/hops/s1.csv: the bytes before byte ', RESET },
    { 'echo more >>out/windows.ndjson', whole = true },   -- as a row that was cut off
  },
  tables = {
    { 'rm out/rows.db*', 3, 'out/rows.db: another run has written', 'or the database was replaced', 'Put back the database of this run' },
    { "sqlite3 out/rows.db 'drop table rows'", 3, "out/rows.db: table 'rows' is gone, and ", 'Put back the database' },
    { "sqlite3 out/rows.db 'delete from tidemill_tokens'", 3, 'out/rows.db: another run has written', 'has no token of this run' },
    { "sqlite3 out/rows.db 'update tidemill_tokens set rows = rows - 30'", 3, 'out/rows.db: the database is older than the run that',
      'Put back the newer database' },
    { 'rm -f out/rows.db-*; head -c 9000 /dev/urandom >out/rows.db', 3, 'out/rows.db is no SQLite database; give another path' },
  },
  logs = {
    { 'rm -r data/logs/idle', 1, 'data/logs/idle ends before record 1, and was durable up to record', "Put the log's folder back", RESET },
    { 'rm data/logs/idle/00000000000000000001.*', 1, 'data/logs/idle begins with record ', 'were not removed by its retention',
      'remove the file data/logs/idle/first' },
    { 'rm data/logs/*/first', whole = true },
    { 'mv data/logs/idle x; mv data/logs/once data/logs/idle; mv x data/logs/once', 1, 'ends before record ', RESET },
  },
}

-- the call in whose course the run is killed, as a part of all of its kind
local AT = { files = { 'w write out/windows.ndjson', 0.9 }, tables = { "w's thread pwrite out/rows.db-wal", 0.8 },
  logs = { "w pwrite data/logs/idle/#.events", 0.9 } }
local EVENTS = { files = 600, tables = 600, logs = 2500 }

--- A place in which the scenario was killed when some epochs were durable and something was written.
local function killed(name, input)
  math.randomseed(10)
  for _ = 1, 20 do
    local sites = F.sites(name, input, F.writing, KEPT)
    local list = assert(sites[AT[name][1]], name .. ' makes no such call')
    local root = F.place(name, input)
    local at = list[math.ceil(#list * (AT[name][2] - math.random() / 5))]
    local r = F.run(root, { at = at, what = 'kill', names = F.writing }, KEPT)
    local ls = h.shell(h.command({ 'journal', 'ls', 'data' }, { cwd = root })).out
    if r.code == 137 and tonumber(ls:match '%d+ +1 %- (%d+)' or 0) >= 3 then return root end
    F.remove(root)
  end
  error(name .. ': it was always killed too early')
end

describe('a kept run that was killed and damaged by hand', function()
  for _, name in ipairs { 'files', 'tables', 'logs' } do
    it('says what is wrong and what to do: ' .. name, function()
      local input = F.events(EVENTS[name])
      local want = F.wanted(name, input)
      local root = killed(name, input)
      for _, case in ipairs(CASES[name]) do
        local copy = h.path 'copy'
        h.sh('cp -r --sparse=always %s %s', root, copy)
        h.sh('ln -f %s/data/durable %s/data/durable', root, copy)  -- a copy of it would tell nothing
        h.sh('cd %s && %s', copy, case[1])
        local r = F.run(copy, nil, KEPT)
        local where = name .. ': ' .. case[1] .. ': ' .. r.err
        assert.equal(case.whole and 0 or case[2], r.code, where)
        for i = 3, #case do assert.truthy(r.err:find(case[i], 1, true), case[i] .. '\n' .. where) end
        if case.whole then h.compare(want, F.content(copy, copy .. '/data'), where) end
        F.remove(copy)
      end
      local r = F.run(root, nil, KEPT)
      assert.equal(0, r.code, r.err)
      h.compare(want, F.content(root, root .. '/data'), name)
    end)
  end
end)
