--[[
patterns.lua - a short way to write patterns and streams in specs, as text of a script and as JSON for patterns_reference.py.

  pattern   stages with what stands between them:  c > a+?g , d
            ,  next     >  followed_by     >>  followed_by_any     !,  not_next     !>  not_followed_by
            a stage: letters, one of which the event's k is; '.': every event; or ( stages ), a group; behind it
            +  one_or_more    {2}  {2,4}  {2,}  times    ?  optional    g greedy    s consecutive    c combinations    /x  stop_when k is x
            #name  a condition that looks at the match too (CONDITIONS)
            behind |:  within 9   prev 9   next   past   first s2   last s2
  stream    events:  a1 b2:5 c@9 .: k is the letter, n the word, p the number behind the colon (0), t that behind @ (its place)
Stages are called s1, s2, …, in order of their text; groups too.
]]

local M = {}

--- By name: as Lua of a script, where e is the event, m the match; patterns_reference.py has the same.
M.CONDITIONS = {
  sum = 'local s = e.p for _, x in ipairs(m.STAGE) do s = s + x.p end return s < 5',
  up = 'local last = m.FIRST[1] return last == nil or e.p >= last.p',
  three = 'return #m.STAGE == 3',
  four = 'local s = 0 for _, x in ipairs(m.s2) do s = s + x.p end return s == 4',
  two = 'local s = 0 for _, x in ipairs(m.s1) do s = s + x.p end return s >= 2',
  same = 'return m.s1[1] ~= nil and m.s1[1].p == e.p',
}

local LINKS = { [','] = 'next', ['>'] = 'followed_by', ['>>'] = 'followed_by_any', ['!,'] = 'not_next', ['!>'] = 'not_followed_by' }
local SKIPS = { none = 'no_skip', next = 'skip_to_next', past = 'skip_past_last', first = 'skip_to_first', last = 'skip_to_last' }

local function stage_of(state, link)
  local s = { link = link, from = 1, to = 1, inner = 'relaxed' }
  state.n = state.n + 1
  s.name = 's' .. state.n
  local text = state.text
  local at = text:match('^%s*()', state.at)
  if text:sub(at, at) == '(' then
    state.at = at + 1
    s.group = M.stages(state)
    at = text:match('^%s*%)()', state.at)
  else
    local letters, behind = text:match('^([%l%.]+)()', at)
    -- letters that are marks stand behind a quantifier alone
    s.letters, at = letters, behind
  end
  while true do
    local c = text:sub(at, at)
    local quantified = s.quantified
    if c == '+' then s.quantified, s.to, at = true, -1, at + 1
    elseif c == '{' then
      local from, comma, to, behind = text:match('^{(%d+)(,?)(%d*)}()', at)
      s.quantified, s.from, s.to = true, tonumber(from), comma == '' and tonumber(from) or tonumber(to) or -1
      at = behind
    elseif c == '?' then s.optional, at = true, at + 1
    elseif c == 'g' and quantified then s.greedy, at = true, at + 1
    elseif c == 's' and quantified then s.inner, at = 'strict', at + 1
    elseif c == 'c' and quantified then s.inner, at = 'any', at + 1
    elseif c == '/' then s.stop, at = text:match('^/([%l]*#?%l*)()', at)
    elseif c == '#' then s.condition, at = text:match('^#(%l+)()', at)
    else break end
  end
  state.at = at
  return s
end

--- The stages from where the text is up to a closing bracket, a bar or the end.
function M.stages(state)
  local list = { stage_of(state, 'start') }
  while true do
    local mark, behind = state.text:match('^%s*([!,>]+)()', state.at)
    if not mark then return list end
    state.at = behind
    list[#list + 1] = stage_of(state, assert(LINKS[mark], mark))
  end
end

--- A pattern as a table: stages, within, between, after = { kind, stage }.
function M.parse(text)
  local body, rest = text:match '^([^|]*)|?(.*)$'
  local state = { text = body, at = 1, n = 0 }
  local p = { stages = M.stages(state) }
  assert(not body:find('%S', state.at), body:sub(state.at))
  local words = {}
  for word in rest:gmatch '%S+' do words[#words + 1] = word end
  local i = 1
  while words[i] do
    local word = words[i]
    if word == 'within' then p.within, i = tonumber(words[i + 1]), i + 1
    elseif word == 'prev' then p.between, i = tonumber(words[i + 1]), i + 1
    else
      p.after = { kind = assert(SKIPS[word], word) }
      if word == 'first' or word == 'last' then p.after.stage, i = words[i + 1], i + 1 end
    end
    i = i + 1
  end
  return p
end

local function test_of(letters)
  if letters == '.' or letters == '' then return 'true' end
  local parts = {}
  for c in letters:gmatch '.' do parts[#parts + 1] = ('e.k == %q'):format(c) end
  return '(' .. table.concat(parts, ' or ') .. ')'
end

local function function_of(letters, condition, s)
  if not condition then return 'function(e) return ' .. test_of(letters) .. ' end' end
  local text = assert(M.CONDITIONS[condition], condition):gsub('STAGE', s.name):gsub('FIRST', 's1')
  return ('function(e, m) if not %s then return false end %s end'):format(test_of(letters), text)
end

local function stages_text(list, name)
  local parts = { ('tm.pattern %q'):format(name) }
  for _, s in ipairs(list) do
    local what = s.group and stages_text(s.group, 'group') or not (s.letters == '.' and not s.condition) and
      function_of(s.letters, s.condition, s) or nil
    parts[#parts + 1] = ("\n  :%s('%s'%s)"):format(s.link, s.name, what and ', ' .. what or '')
    if s.quantified then
      parts[#parts + 1] = s.from == 1 and s.to == -1 and ':one_or_more()' or
        (':times(%d%s)'):format(s.from, s.to == -1 and ', math.huge' or s.to ~= s.from and ', ' .. s.to or '')
    end
    if s.optional then parts[#parts + 1] = ':optional()' end
    if s.inner ~= 'relaxed' then parts[#parts + 1] = s.inner == 'strict' and ':consecutive()' or ':combinations()' end
    if s.greedy then parts[#parts + 1] = ':greedy()' end
    if s.stop then
      local letters, condition = s.stop:match '^(%l*)#?(%l*)$'
      parts[#parts + 1] = (':stop_when(%s)'):format(function_of(letters, condition ~= '' and condition or nil, s))
    end
  end
  return table.concat(parts)
end

--- Text of a script's expression.
function M.text(p, name)
  local text = stages_text(p.stages, name or 'p')
  if p.within then text = text .. (":within '%dms'"):format(p.within) end
  if p.between then text = text .. (":within('%dms', 'previous')"):format(p.between) end
  if p.after then
    text = text .. (":after_match('%s'%s)"):format(p.after.kind, p.after.stage and (", '%s'"):format(p.after.stage) or '')
  end
  return text
end

--- A stream as a list of events.
function M.events(text)
  local list = {}
  for word in text:gmatch '%S+' do
    local n, p, t = word:match '^(%a%w*):?([%d%.]*)@?(%d*)$'
    list[#list + 1] = { k = n:sub(1, 1), n = n, p = tonumber(p) or 0, t = tonumber(t) or #list + 1, i = #list + 1 }
  end
  return list
end

return M
