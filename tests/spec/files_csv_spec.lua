--[[
files_csv_spec.lua - CSV and lines spread over files by their fields, rolled, compressed: each file that had nothing in it begins
with the header. What should be there is made by Python's csv, by a slow walk over the rows.
]]

local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'

local sh = h.sh

--- What is below a folder, unpacked: { ['a/b'] = text }.
local function tree(dir)
  local files = {}
  for _, name in ipairs(h.lines(sh('cd %s && find . -type f', dir))) do
    local unpack = name:find '%.gz$' and 'gzip -dc ' or name:find '%.zst$' and 'zstd -qdc ' or 'cat '
    local got = h.shell(unpack .. h.quote(dir .. '/' .. name))
    assert(got.code == 0, name .. ': ' .. got.err)
    files[name:sub(3)] = got.out
  end
  return files
end

local function total(dir)
  return tonumber(h.shell("find " .. dir .. " -type f -printf '%s\\n' | awk '{ n += $1 } END { print n + 0 }'").out) or 0
end

--- By Python: NDJSON → { path: text }, the way files are named, rolled and headed; options: size, times (runs), delimiter, end.
local reference = h.write [==[
import csv, io, json, os, re, sys
template, how = sys.argv[1], json.loads(sys.argv[2])
def value(v):
  t = '' if v is None else v if isinstance(v, str) else json.dumps(v)
  if t == '': return '%empty'
  return ''.join(c if re.match(r'[A-Za-z0-9._:-]', c) else ''.join('%%%02X' % b for b in c.encode()) for c in t)
def text(cells):
  s = io.StringIO(newline='')
  csv.writer(s, delimiter=how.get('delimiter', ','), lineterminator=how.get('end', '\n')).writerow(cells)
  return s.getvalue()
rows = [json.loads(l) for l in sys.stdin] * how.get('times', 1)
out, at = {}, {}
for row in rows:
  path = re.sub(r'\{([^{}]+)\}', lambda m: value(row[m[1]]), template)
  line = text(row.values())
  if 'size' in how:
    n, size = at.get(path, (1, 0))
    b = len(line.encode())
    if size > 0 and size + b > how['size']: n, size = n + 1, 0
    at[path] = (n, size + b)
    folder, name = os.path.split(path)
    stem, dot, ext = name.partition('.')
    path = os.path.join(folder, '%s-%06d%s%s' % (stem, n, dot, ext))
  if path not in out: out[path] = text(row.keys())
  out[path] += line
print(json.dumps(out))
]==]

local function wanted(template, how, input)
  local got = h.shell(('python3 %s %s %s'):format(reference, h.quote(template), h.quote(how)), input)
  assert(got.code == 0, got.err)
  return h.decode(got.out)
end

local odd = { 'a', 'x/y', '', 'a b', 'M\195\188nchen', 'p"q', '"', 'one,two', 'l1\\nl2', ' ', "it's", '%null' }
local rows = {}
for i = 1, 3000 do
  rows[i] = ('{"v":"%s","i":%d,"t":"%s","e":null,"f":%s.5}\n'):format((odd[i * 7919 % #odd + 1]:gsub('"', '\\"')), i,
    (odd[i * 31 % #odd + 1]:gsub('"', '\\"')):rep(i % 5), i)
end
local input = table.concat(rows)

local function run(sink, text)
  local got = h.run({ 'run', '--quiet', '-e', ('stream:to(tm.sink.file { %s })'):format(sink) }, text or input)
  assert.equal(0, got.code, got.err)
end

describe('CSV in files by field', function()
  for name, case in pairs {
    ['as Python writes them'] = { '{v}.csv', '{}' },
    ['of two fields, in folders'] = { 'o/{e}/x-{v}.csv', '{}' },
    ['with another delimiter and CR LF'] = { '{v}.csv', '{"delimiter":";","end":"\\r\\n"}', ", delimiter = ';', crlf = true" },
    ['with tabs, by the name'] = { '{v}.tsv', '{"delimiter":"\\t"}' },
    ['compressed by gzip'] = { '{v}.csv.gz', '{}' },
    ['compressed by zstd'] = { '{v}/{e}.csv.zst', '{}' },
    ['rolled'] = { '{v}/a.csv', '{"size":2000}', ", roll = { size = '2000B' }" },
    ['rolled, one path'] = { 'a.csv', '{"size":5000}', ", roll = { size = '5000B' }" },
    ['rolled and compressed'] = { '{v}/a.csv.zst', '{"size":2000}', ", roll = { size = '2000B' }" },
    ['in one compressed file'] = { 'a.csv.gz', '{}' },
  } do
    it(name, function()
      local dir = h.folder()
      run(("path = '%s/%s'%s"):format(dir, case[1], case[3] or ''))
      local want, have = wanted(case[1], case[2], input), tree(dir)
      for path, text in pairs(want) do assert.equal(text, have[path], path) end
      assert.same(want, have)
    end)
  end

  it('get no second header from a second run', function()
    for _, template in ipairs { '{v}.csv', '{v}.csv.gz', 'a.csv.zst' } do
      local dir = h.folder()
      for _ = 1, 2 do
        assert.equal(0, h.run({ 'run', '--quiet', '-e', 'stream', '--to', dir .. '/' .. template }, input).code)
      end
      assert.same(wanted(template, '{"times":2}', input), tree(dir))
    end
  end)

  it('get one where a file is empty, also of no rows compressed', function()
    local dir = h.folder { ['a.csv'] = '', ['b.csv'] = 'v,n\nb,0\n' }
    for _, name in ipairs { 'c.csv.gz', 'd.csv.zst' } do
      run(("path = '%s/%s'"):format(dir, name), '')
      assert.equal('', tree(dir)[name])
      run(("path = '%s/%s'"):format(dir, name), '{"v":1}\n')
      assert.equal('v\n1\n', tree(dir)[name])
    end
    run(("path = '%s/{v}.csv'"):format(dir), '{"v":"a","n":1}\n{"v":"b","n":2}\n')
    assert.equal('v,n\na,1\n', tree(dir)['a.csv'])
    assert.equal('v,n\nb,0\nb,2\n', tree(dir)['b.csv'])
  end)

  it('take rows of CSV byte for byte, whose quotes stand in no path', function()
    local dir = h.folder()
    local text = 'k,n\n"a",1\n"b""c",2\na,"3"\n'
    local from = h.write(text, h.folder() .. '/in.csv')
    assert.equal(0, h.run({ 'run', '--quiet', '-e', 'stream', '--from', from, '--to', dir .. '/{k}.csv' }).code)
    assert.same({ ['a.csv'] = 'k,n\n"a",1\na,"3"\n', ['b%22c.csv'] = 'k,n\n"b""c",2\n' }, tree(dir))
  end)

  it('without a header where none is asked for; columns given, written by several pipelines', function()
    local dir = h.folder()
    run(("path = '%s/{v}.csv', header = false"):format(dir), '{"v":"a","n":1}\n')
    assert.equal('a,1\n', tree(dir)['a.csv'])
    dir = h.folder()
    local got = h.script(([[local tm = require 'tidemill'
      local to = tm.sink.file { path = '%s/{k}.csv', columns = { 'k', 'n' } }
      return { tm.pipeline 'a':from(tm.source.stdin()):select { 'n', 'k' }:to(to),
        tm.pipeline 'b':from(tm.source.stdin()):select { 'k' }:to(to) }]]):format(dir), '{"k":"x","n":1}\n{"k":"y","n":2}\n')
    assert.equal(0, got.code, got.err)
    assert.same({ ['x.csv'] = 'k,n\nx,1\nx,\n', ['y.csv'] = 'k,n\ny,2\ny,\n' }, tree(dir))
  end)

  it('are read back, compressed too', function()
    for _, ending in ipairs { 'csv', 'csv.gz', 'csv.zst' } do
      local dir = h.folder()
      run(("path = '%s/{v}.%s'"):format(dir, ending))
      local got = h.run { 'run', '--quiet', '-e', 'stream:select { "i" }', '--from', dir .. '/*.' .. ending }
      assert.equal(0, got.code, got.err)
      local n, sum = 0, 0
      for i in got.out:gmatch '{"i":"(%d+)"}' do n, sum = n + 1, sum + i end
      assert.equal(3000, n)
      assert.equal(3000 * 3001 / 2, sum)
    end
  end)

  it('have a header in each file that time rolls', function()
    local dir = h.folder()
    local fifo = r.fifo()
    local held = r.spawn('sleep 60', { stdout = fifo })
    local code = ("stream:to(tm.sink.file { path = '%s/t.csv', roll = { every = '1s' } })"):format(dir)
    local p = r.start({ 'run', '--quiet', '-e', code }, { stdin = fifo })
    h.shell([[printf '{"n":1}\n{"n":2}\n' >]] .. fifo)
    r.wait_until('the name', function() return h.read(dir .. '/t-000001.csv') ~= '' end)
    h.shell([[printf '{"n":3}\n' >]] .. fifo)
    r.wait_until('a part', function() return total(dir) == 10 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    held:signal 'KILL'
    assert.same({ ['t-000001.csv'] = 'n\n1\n2\n', ['t-000002.csv'] = 'n\n3\n' }, tree(dir))
    r.stop_all()
  end)

  it('need fields that the columns have', function()
    local got = h.run({ 'check', '-e', "stream:select { 'country', 'n' }:to(tm.sink.file '{contry}.csv')" })
    assert.equal(3, got.code)
    assert.truthy(got.err:find("{contry}.csv has {contry}, and the columns are country, n (did you mean 'country'?)", 1, true), got.err)
    got = h.run({ 'check', '-e', "stream:to(tm.sink.file { path = '{{x}}/{k}', format = 'lines' })" })
    assert.equal(3, got.code)
    assert.truthy(got.err:find("{{x}}/{k} has {k}, and the columns are line", 1, true), got.err)
    assert.equal(0, h.run({ 'check', '-e', "stream:select { 'k' }:to(tm.sink.file '{{x}}{k}.csv')" }).code)
  end)
end)

describe('lines in files', function()
  it('by line, rolled, compressed: no header', function()
    local dir = h.folder()
    local text = 'a\n"b\n\nx,y\na\n'
    local function lines(sink) return ("path = '%s/%s', format = 'lines'%s"):format(dir, sink[1], sink[2] or '') end
    for _, sink in ipairs { { 'f/{line}' }, { 'g/x.log', ", roll = { size = '4B' }" }, { 'h.gz' } } do
      local got = h.run({ 'run', '--quiet', '--format', 'lines', '-e', ('stream:to(tm.sink.file { %s })'):format(lines(sink)) }, text)
      assert.equal(0, got.code, got.err)
    end
    assert.same({ ['f/a'] = 'a\na\n', ['f/%22b'] = '"b\n', ['f/%empty'] = '\n', ['f/x%2Cy'] = 'x,y\n', ['g/x-000001.log'] = 'a\n',
      ['g/x-000002.log'] = '"b\n\n', ['g/x-000003.log'] = 'x,y\n', ['g/x-000004.log'] = 'a\n', ['h.gz'] = text }, tree(dir))
  end)
end)

describe('a worker killed while it writes', function()
  after_each(r.stop_all)
  local lines = {}
  for i = 1, 40000 do lines[i] = ('{"i":%d,"k":"%d,","pad":"%s"}'):format(i, i * 7919 % 40, ('p'):rep(i * 31 % 90)) end
  local text = table.concat(lines, '\n') .. '\n'
  local file = h.write(text)

  for _, case in ipairs {
    { 'files by field', '{k}/x.csv', '{}' }, { 'compressed files by field', '{k}.csv.gz', '{}' },
    { 'rolled files', 'x.csv', '{"size":61440}', ", roll = { size = '60K' }" },
    { 'all at once', '{k}/x.csv.zst', '{"size":8192}', ", roll = { size = '8K' }" },
  } do
    it('leaves each row once and a header in front: ' .. case[1], function()
      math.randomseed(7)
      local want, left = wanted(case[2], case[3], text), 5
      for _ = 1, 30 do
        local dir = h.folder()
        local sink = ("path = '%s/%s'%s"):format(dir, case[2], case[4] or '')
        local p = r.start { 'run', '--json', '-e', ('stream:to(tm.sink.file { %s })'):format(sink), '--from', file }
        local kills, code = kill.often(p, function() return total(dir) end, 3)
        assert.equal(0, code)
        local have = tree(dir)
        for path, wants in pairs(want) do assert.is_true(wants == have[path], path) end
        for path in pairs(have) do assert.truthy(want[path], path) end
        os.execute('rm -rf ' .. dir)
        left = left - kills
        if left <= 0 then return end
      end
      error 'runs ended before they could be killed: they need more input'
    end)
  end
end)
