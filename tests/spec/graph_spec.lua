--[[
graph_spec.lua - `graph`: the plan as text, DOT, Mermaid and JSON. Drawings expected are written by hand; DOT is read by a
parser of its published grammar (tools/read_dot.py) and, where it is installed, by Graphviz; Mermaid by the rules of its
flowchart syntax; JSON by jq.
]]

local h = require 'spec.helper'

local function graph(script, ...)
  local dir = h.folder { ['p.lua'] = script }
  local r = h.run({ 'graph', 'p.lua', ... }, nil, { cwd = dir })
  assert.equal(0, r.code, r.err)
  assert.equal('', r.err)
  return r.out
end

--- The drawing without the gaps in front of places.
local function text(script, ...)
  return (graph(script, ...):gsub('  +(p%.lua:%d+)\n', ' @%1\n'))
end

local whole = [[
local tm = require 'tidemill'
local a = tm.pipeline 'a':from(tm.source.file 'data/*.ndjson')
  :on_error(tm.sink.file 'bad.ndjson')
  :schema { id = 'int64', amount = 'decimal(2)' }
  :key_by { 'card', 'country' }
local big = a:filter(function(e) return e.amount > 100 end):to(tm.sink.file 'big.ndjson'):select { 'id', 'amount' }
local out = a:route {
  { 'x', function(e) return e.id end },
  { 'rest' },
}
return {
  big,
  tm.pipeline 'b':from(tm.union(big, out.x)):rename { amount = 'sum' }:drop { 'pan' }:to(tm.sink.discard()),
  out.rest:map(function(e) return e end):set { ok = true }:to(tm.sink.stdout()),
}
]]

describe('the text', function()
  it('shows sources, steps with their lines, forks, arms, unions, links and sinks', function()
    assert.equal([[
pipeline a ← file data/*.ndjson @p.lua:2
  1 on_error → file bad.ndjson @p.lua:3
  2 schema amount decimal(2), id int64 @p.lua:4
  3 key_by card, country @p.lua:5
  ├─ 4 filter @p.lua:6
  │  → file big.ndjson @p.lua:6
  │  6 select id, amount @p.lua:6
  │  ├─ → pipeline b
  │  └─ → stdout
  └─ 7 route @p.lua:7
     ├─ x: @p.lua:8
     │  → pipeline b
     └─ rest:
        8 map @p.lua:14
        9 set ok @p.lua:14
        → stdout @p.lua:14

pipeline b ← pipeline a @p.lua:13
  1 rename amount = sum @p.lua:13
  2 drop pan @p.lua:13
  → discard @p.lua:13
]], text(whole))
  end)

  it('shows the default input and output, as the command line sets them', function()
    local pass = "local p = require 'tidemill'.pipeline 'p'\nreturn p"
    assert.equal('pipeline p ← stdin @p.lua:1\n  → stdout\n', text(pass))
    assert.equal('pipeline p ← file a*, b @p.lua:1\n  → file out\n', text(pass, '--from', 'b', '--from', 'a*', '--to', 'out'))
    assert.equal('pipeline e ← stdin\n  1 filter -e:1\n  → stdout\n',
      (h.run({ 'graph', '-e', 'stream:filter(function(e) return e.a end)' }).out:gsub(' +%-e:1', ' -e:1')))
  end)

  it('fits 100 columns, also with long names', function()
    local many = {}
    for i = 1, 60 do many[i] = ("'field_%d'"):format(i) end
    local drawn = graph(("return require 'tidemill'.pipeline '%s':select { %s }:to(require 'tidemill'.sink.file '%s')"):format(
      ('n'):rep(60), table.concat(many, ','), ('x'):rep(300)))
    for _, line in ipairs(h.lines(drawn)) do
      assert.is_true(select(2, line:gsub('[^\128-\191]', '')) <= 100, line)
      assert.truthy(line:find '^%S' or line:find '^  ')
    end
    assert.truthy(drawn:find('…', 1, true))
  end)

  it('opens, makes and runs nothing', function()
    local dir = h.folder { ['p.lua'] = [[
      local tm = require 'tidemill'
      return tm.pipeline 'p':from(tm.source.file 'not/there/*'):map(function(e) error 'ran' end):to(tm.sink.file 'made')]] }
    assert.equal(0, h.run({ 'graph', 'p.lua' }, nil, { cwd = dir }).code)
    assert.equal('p.lua\n', h.shell('ls ' .. dir).out)
    local gen = h.run { 'graph', '-e', 'stream:from(tm.source.generate(function() error "ran" end))' }
    assert.equal('', gen.err)
  end)

  it('tells what is wrong with a script as check does', function()
    local r = h.run { 'graph', '-e', 'stream:fliter()' }
    assert.equal(3, r.code)
    assert.equal('', r.out)
    assert.equal(r.err, h.run({ 'check', '-e', 'stream:fliter()' }).err)
    assert.equal(2, h.run({ 'graph', '-e', 'stream', '--json', '--format', 'dot' }).code)
  end)

  it('draws every example', function()
    for _, path in ipairs(h.lines(h.shell('ls scripts/examples/*.lua | grep -v _spec.lua').out)) do
      if not path:find 'cards.lua' then
        for _, format in ipairs { 'text', 'dot', 'mermaid' } do
          local r = h.run { 'graph', path, '--format', format }
          assert.equal(0, r.code, path .. r.err)
        end
      end
    end
  end)
end)

-- Names that must be escaped: quotes, HTML, what means something in DOT or Mermaid, UTF-8, newlines, no UTF-8 at all
local odd = {
  'say "hi"', [[back\slash]], 'a<b>&amp;c', 'Straße → 東京', 'two\nlines', 'end', '#35; `md` *b* _i_',
  'x]|y{z}(w);', "it's", '\27[2J', 'bad\255byte', '',
}

local function odd_script()
  local lines = { "local tm = require 'tidemill'", 'return {' }
  for i, name in ipairs(odd) do
    lines[#lines + 1] = ('tm.pipeline %q:from(tm.source.file %q):select { %q }:to(tm.sink.file %q),'):format(
      i .. name, 'in' .. name, 'f' .. name, 'out' .. i .. name:gsub('[{}]', '')   -- braces are templates
    ):gsub('\\\n', '\\n'):gsub('\27', '\\27'):gsub('\255', '\\255')
  end
  return table.concat(lines, '\n') .. ' }'
end

--- What is drawn for a name: control characters are written out, bytes that are no UTF-8 replaced.
local function shown(name)
  return (name:gsub('\n', '\\n'):gsub('\27', '\\x1b'):gsub('\255', '\239\191\189'))
end

--- The labels that nodes must be drawn with, by id.
local function labels_of(g)
  local labels = {}
  for _, n in ipairs(g.nodes) do
    labels[n.id] = shown(n.label) .. (n.place and n.kind ~= 'pipeline' and '\n' .. n.place or '')
  end
  return labels
end

local function edges_of(json)
  local list = {}
  for _, e in ipairs(json.edges) do list[#list + 1] = e.from .. ' ' .. e.to .. (e.label and ' ' .. e.label or '') end
  table.sort(list)
  return table.concat(list, '\n')
end

describe('JSON', function()
  it('has nodes and edges that fit together', function()
    local g = h.decode(graph(whole, '--json'))
    local ids = {}
    for _, n in ipairs(g.nodes) do
      assert.is_nil(ids[n.id], n.id)
      ids[n.id] = n
    end
    for _, e in ipairs(g.edges) do assert.truthy(ids[e.from] and ids[e.to], e.from .. e.to) end
    local expected = [[
p0 p0_1
p0_1 k1
p0_1 p0_2
p0_2 p0_3
p0_3 p0_4
p0_3 p0_7
p0_4 k2
p0_4 p0_6
p0_6 k3
p0_6 p1
p0_7 p0_8 rest
p0_7 p1 x
p0_8 p0_9
p0_9 k3
p1 p1_1
p1_1 p1_2
p1_2 k4
s1 p0]]
    assert.equal((expected:gsub('[ks]%d+', 'N')), (edges_of(g):gsub('[ks]%d+', 'N')))
    local jq = h.shell([[jq -r '.nodes[] | select(.kind == "schema") | .label']], graph(whole, '--json'))
    assert.equal('schema amount decimal(2), id int64\n', jq.out)
  end)

  it('holds any name', function()
    local labels = {}
    for _, n in ipairs(h.decode(graph(odd_script(), '--json')).nodes) do labels[n.label] = true end
    for i, name in ipairs(odd) do
      local utf8 = name:gsub('\255', '\239\191\189')
      assert.is_true(labels[i .. utf8], name)
      assert.is_true(labels['select f' .. utf8], name)
    end
  end)
end)

describe('DOT', function()
  it('is read by a parser of its grammar: the same nodes, edges and labels', function()
    for _, script in ipairs { whole, odd_script() } do
      local dot = graph(script, '--format', 'dot')
      local r = h.shell('python3 tests/spec/tools/read_dot.py', dot)
      assert.equal(0, r.code, r.err)
      local read, g = h.decode(r.out), h.decode(graph(script, '--json'))
      assert.same(labels_of(g), read.nodes)
      assert.equal(edges_of(g), edges_of(read))
    end
  end)

  it('is drawn by Graphviz', function()
    if h.shell('command -v dot').code ~= 0 then return pending 'Graphviz is not installed' end
    for _, script in ipairs { whole, odd_script() } do
      local svg = h.shell('dot -Tsvg', graph(script, '--format', 'dot'))
      assert.equal(0, svg.code, svg.err)
      assert.equal('', svg.err)
      -- an XML parser sees the labels as they were meant
      local r = h.shell([[python3 -c '
import sys, xml.etree.ElementTree as tree
for t in tree.fromstring(sys.stdin.buffer.read()).iter("{http://www.w3.org/2000/svg}text"):
  print(t.text.replace("\u00a0", " "))']], svg.out)
      assert.equal(0, r.code, r.err)
      if script ~= whole then
        for i, name in ipairs(odd) do assert.truthy(('\n' .. r.out):find('\n' .. i .. shown(name) .. '\n', 1, true), name) end
      end
    end
  end)
end)

--- Mermaid's flowchart syntax, as far as we write it: header, nodes with quoted labels, subgraphs, edges. Entities #NN; are
--- resolved. Returns nodes, edges as in the JSON form.
local function read_mermaid(drawing)
  local nodes, edges, open = {}, {}, 0
  local function plain(label)
    assert.is_nil(label:find '["`<>]' and label:gsub('<br/>', ''):find '["`<>]', label)
    return (label:gsub('<br/>', '\n'):gsub('#(%d+);', function(n) return string.char(n) end))
  end
  local lines = h.lines(drawing)
  assert.equal('flowchart LR', table.remove(lines, 1))
  for _, line in ipairs(lines) do
    local id, a, label, b = line:match '^ +([%w_]+)([%[%(%{/]+)"(.*)"([%]%)%}/]+)$'
    local from, arrow, rest = line:match '^ +([%w_]+) (%-[%-.]+>)(.*)$'
    if line:find '^  subgraph g%d+%["[^"]*"%]$' then
      open = open + 1
    elseif line == '  end' then
      open = open - 1
    elseif id then
      assert.equal(({ ['['] = ']', ['[('] = ')]', ['[/'] = '/]', ['(['] = '])', ['{'] = '}' })[a], b, line)
      nodes[id] = plain(label)
    else
      assert.truthy(from and (arrow == '-->' or arrow == '-.->'), line)
      local name, to = rest:match '^|"(.*)"| ([%w_]+)$'
      edges[#edges + 1] = { from = from, to = to or rest:match '^ ([%w_]+)$', label = name and plain(name) }
    end
    assert.is_true(open >= 0)
  end
  assert.equal(0, open)
  return { nodes = nodes, edges = edges }
end

describe('Mermaid', function()
  it('keeps to the syntax of flowcharts: the same nodes, edges and labels', function()
    for _, script in ipairs { whole, odd_script() } do
      local g, read = h.decode(graph(script, '--json')), read_mermaid(graph(script, '--format', 'mermaid'))
      assert.same(labels_of(g), read.nodes)
      assert.equal(edges_of(g), edges_of(read))
    end
  end)
end)
