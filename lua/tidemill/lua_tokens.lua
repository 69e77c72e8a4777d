--[[
lua_tokens.lua - the text of a Lua function as tokens, and what stands where in it: as much of Lua 5.1's grammar as it takes to find the
conditions of a function that compiles already.

  token       { text, kind: name keyword number string operator, line }
  condition   { from, to: tokens; kind: 'compare' | 'test' | 'local'; op, left = { from, to }, right; name: of the local }
              a test is all else that is asked for truth; parts of `and` and `or` are conditions of their own,
              and constants are none
  path        { from, to }: a name, or names with dots between, that is read and not called

A function inside of the function is walked over, and nothing of it is found.
]]

local M = {}

local KEYWORDS = {}
for word in ('and break do else elseif end false for function if in local nil not or repeat return then true until while'):gmatch '%a+' do
  KEYWORDS[word] = true
end
local OPERATORS = { '...', '..', '==', '~=', '<=', '>=' }
-- how strongly a binary operator binds to its left and to its right (Lua 5.1's reference, 2.5.6)
local BINDS = { ['or'] = { 1, 1 }, ['and'] = { 2, 2 }, ['<'] = { 3, 3 }, ['>'] = { 3, 3 }, ['<='] = { 3, 3 }, ['>='] = { 3, 3 },
  ['~='] = { 3, 3 }, ['=='] = { 3, 3 }, ['..'] = { 5, 4 }, ['+'] = { 6, 6 }, ['-'] = { 6, 6 }, ['*'] = { 7, 7 }, ['/'] = { 7, 7 },
  ['%'] = { 7, 7 }, ['^'] = { 10, 9 } }
local UNARY = 8
local COMPARES = { ['<'] = true, ['>'] = true, ['<='] = true, ['>='] = true, ['~='] = true, ['=='] = true }

--- The end of a long bracket that begins at `at`; nil: there is none.
local function long_end(text, at)
  local level = text:match('^%[(=*)%[', at)
  if not level then return nil end
  local _, to = text:find(']' .. level .. ']', at, true)
  return to or #text
end

local function string_end(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == quote then return i end
    i = i + (c == '\\' and 2 or 1)
  end
  return #text
end

local function operator_end(text, at)
  for _, operator in ipairs(OPERATORS) do
    if text:sub(at, at + #operator - 1) == operator then return at + #operator - 1 end
  end
  return at
end

--- The tokens of a text that compiles.
function M.of(text)
  local list, at, line = {}, 1, 1
  local function put(kind, to)
    local s = text:sub(at, to)
    list[#list + 1] = { text = s, kind = kind, line = line }
    local _, breaks = s:gsub('\n', '')
    at, line = to + 1, line + breaks
  end
  local function skip(to)
    local _, breaks = text:sub(at, to):gsub('\n', '')
    at, line = to + 1, line + breaks
  end
  while at <= #text do
    local c = text:sub(at, at)
    if c:find '%s' then
      skip(select(2, text:find('^%s+', at)))
    elseif text:find('^%-%-', at) then
      skip(long_end(text, at + 2) or (text:find('\n', at, true) or #text))
    elseif c:find '[%a_]' then
      local to = select(2, text:find('^[%w_]+', at))
      put(KEYWORDS[text:sub(at, to)] and 'keyword' or 'name', to)
    elseif c:find '%d' or text:find('^%.%d', at) then
      local to = select(2, text:find('^0[xX]%x+', at)) or select(2, text:find('^[%d%.]+[eE][+-]?%d+', at)) or
        select(2, text:find('^[%d%.]+', at))
      put('number', to)
    elseif c == '"' or c == "'" then
      put('string', string_end(text, at))
    elseif c == '[' and long_end(text, at) then
      put('string', long_end(text, at))
    else
      put('operator', operator_end(text, at))
    end
  end
  return list
end

-- Grammar -----------------------------------------------------------------------------------------

local Parser = {}
Parser.__index = Parser

function Parser:peek(text)
  local token = self.tokens[self.i]
  return token ~= nil and token.text == text and token.kind ~= 'string'
end

function Parser:take(text)
  if not self:peek(text) then return false end
  self.i = self.i + 1
  return true
end

function Parser:need(text)
  if not self:take(text) then error(('expected %s at line %d'):format(text, (self.tokens[self.i] or { line = 0 }).line), 0) end
end

function Parser:kind()
  local token = self.tokens[self.i]
  return token and token.kind
end

--- Behind the word `function`: params, block, end.
function Parser:body(quiet)
  local was = self.quiet
  self.quiet = quiet
  self:need '('
  while not self:take ')' do self.i = self.i + 1 end
  self:block()
  self:need 'end'
  self.quiet = was
end

function Parser:arguments()
  if self:take '(' then
    if not self:take ')' then
      self:list()
      self:need ')'
    end
  elseif self:peek '{' then
    self:constructor()
  else
    self.i = self.i + 1   -- a string
  end
end

function Parser:constructor()
  self:need '{'
  while not self:take '}' do
    if self:take '[' then
      self:expression(0)
      self:need ']'
      self:need '='
    elseif self:kind() == 'name' and self.tokens[self.i + 1].text == '=' then
      self.i = self.i + 2
    end
    self:expression(0)
    if not self:take ',' then self:take ';' end
  end
end

--- A name or something in parentheses, and what hangs behind it.
function Parser:primary()
  local from = self.i
  local node = { from = from, kind = 'other' }
  local plain = false   -- so far a name, or names with dots between
  if self:take '(' then
    node.inner = self:expression(0)
    self:need ')'
  else
    self.i = self.i + 1
    plain = true
  end
  while true do
    local token = self.tokens[self.i]
    local hangs = token and (token.kind == 'string' or token.text == '(' or token.text == '{' or token.text == '[' or token.text == ':' or
      token.text == '.')
    if not hangs then break end
    node.inner = nil
    if self:take '.' then
      self.i = self.i + 1
    else
      plain = false
      if self:take '[' then
        self:expression(0)
        self:need ']'
      else
        if self:take ':' then self.i = self.i + 1 end
        self:arguments()
      end
    end
  end
  node.to = self.i - 1
  if plain then
    node.plain = true
    if not self.quiet then self.paths[#self.paths + 1] = { from = from, to = node.to } end
  end
  if node.inner then node.kind = 'paren' end
  return node
end

function Parser:simple()
  local kind = self:kind()
  if kind == 'number' or kind == 'string' or self:peek 'nil' or self:peek 'true' or self:peek 'false' or self:peek '...' then
    self.i = self.i + 1
    return { from = self.i - 1, to = self.i - 1, kind = 'other', plain = true, constant = true }
  end
  if self:peek '{' then
    local from = self.i
    self:constructor()
    return { from = from, to = self.i - 1, kind = 'other' }
  end
  if self:peek 'function' then
    local from = self.i
    self.i = self.i + 1
    self:body(true)
    return { from = from, to = self.i - 1, kind = 'other' }
  end
  return self:primary()
end

function Parser:expression(limit)
  local node
  if self:peek 'not' or self:peek '-' or self:peek '#' then
    local from, word = self.i, self.tokens[self.i].text
    self.i = self.i + 1
    local of = self:expression(UNARY)
    node = { from = from, to = self.i - 1, kind = word == 'not' and 'not' or 'other', inner = of }
  else
    node = self:simple()
  end
  while true do
    local token = self.tokens[self.i]
    local binds = token and token.kind ~= 'string' and BINDS[token.text]
    if not binds or binds[1] <= limit then return node end
    self.i = self.i + 1
    local right = self:expression(binds[2])
    local kind = (token.text == 'and' or token.text == 'or') and 'logic' or COMPARES[token.text] and 'compare' or 'other'
    node = { from = node.from, to = self.i - 1, kind = kind, op = token.text, left = node, right = right }
  end
end

function Parser:list()
  local n, first = 1, self:expression(0)
  while self:take ',' do
    self:expression(0)
    n = n + 1
  end
  return first, n
end

--- Finds the conditions that an expression asked for truth is made of.
function Parser:found(node)
  if self.quiet or node.constant then return end
  if node.kind == 'paren' then return self:found(node.inner) end
  if node.kind == 'logic' then
    self:found(node.left)
    return self:found(node.right)
  end
  if node.kind == 'not' then
    local inner = node.inner
    while inner.kind == 'paren' do inner = inner.inner end
    if inner.kind == 'logic' or inner.kind == 'not' then return self:found(inner) end
  end
  self.conditions[#self.conditions + 1] = { from = node.from, to = node.to, kind = node.kind == 'compare' and 'compare' or 'test',
    op = node.op, left = node.left, right = node.right }
end

function Parser:condition() self:found(self:expression(0)) end

--- What a local or a variable is given, where it is one.
function Parser:assigned(name, count)
  local node, n = self:list()
  if self.quiet or count ~= 1 or n ~= 1 then return end
  self.conditions[#self.conditions + 1] = { from = node.from, to = node.to, kind = 'local', name = name }
end

local statements = {}

statements['if'] = function(p)
  p:condition()
  p:need 'then'
  p:block()
  while p:take 'elseif' do
    p:condition()
    p:need 'then'
    p:block()
  end
  if p:take 'else' then p:block() end
  p:need 'end'
end

statements['while'] = function(p)
  p:condition()
  p:need 'do'
  p:block()
  p:need 'end'
end

statements['do'] = function(p)
  p:block()
  p:need 'end'
end

statements['for'] = function(p)
  while not (p:take '=' or p:take 'in') do p.i = p.i + 1 end
  p:list()
  p:need 'do'
  p:block()
  p:need 'end'
end

statements['repeat'] = function(p)
  p:block()
  p:need 'until'
  p:condition()
end

statements['function'] = function(p)
  while not p:peek '(' do p.i = p.i + 1 end
  p:body(true)
end

statements['local'] = function(p)
  if p:take 'function' then
    p.i = p.i + 1
    return p:body(true)
  end
  local name, n = p.tokens[p.i].text, 1
  p.i = p.i + 1
  while p:take ',' do p.i, n = p.i + 1, n + 1 end
  if p:take '=' then p:assigned(name, n) end
end

statements['return'] = function(p)
  if p:peek 'end' or p:peek 'else' or p:peek 'elseif' or p:peek 'until' or p:peek ';' or not p.tokens[p.i] then return end
  local node, n = p:list()
  if n == 1 then p:found(node) end
end

statements['break'] = function() end

function Parser:block()
  while self.tokens[self.i] and not (self:peek 'end' or self:peek 'else' or self:peek 'elseif' or self:peek 'until') do
    local token = self.tokens[self.i]
    local statement = token.kind == 'keyword' and statements[token.text]
    if statement then
      self.i = self.i + 1
      statement(self)
    elseif not self:take ';' then
      local was, n = #self.paths, 1
      self:primary()
      while self:take ',' do
        self:primary()
        n = n + 1
      end
      if self:peek '=' then
        for i = was + 1, #self.paths do self.paths[i] = nil end   -- written, not read
        self.i = self.i + 1
        self:assigned(token.text, n)
      end
    end
  end
end

--- What stands in a function.
---@param tokens table list
---@param at number of the token `function`
---@return table conditions, table paths, number last the token `end`
function M.walk(tokens, at)
  local p = setmetatable({ tokens = tokens, i = at + 1, conditions = {}, paths = {}, quiet = false }, Parser)
  p:body(false)
  return p.conditions, p.paths, p.i - 1
end

return M
