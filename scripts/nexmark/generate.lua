--[[
generate.lua - the events of NEXMark, an auction house: persons come, put up auctions, bid. One stream, one shape.

  tidemill run scripts/nexmark/generate.lua --set events=2000000 --set seed=1 > events.ndjson

  events     how many (1,000,000)
  seed       another whole number gives other events (1)
  rate       events a second of event time (10,000)
  start      event time of the first one, ms (1436918400000: 2015-07-15 00:00 UTC)
  disorder   events come shuffled in groups of so many (1: in order); what is late is late by less than a group: disorder / rate s

Ids, shares, ratios and sizes are those of the public generator (README.md). An event depends on the settings and on its number
alone: nothing is kept from one to the next, so that a run that goes on after a death goes on with the same events, and the first
n events of a longer stream are the shorter one.
]]

local tm = require 'tidemill'
local tobit, bxor, lshift, rshift, floor = bit.tobit, bit.bxor, bit.lshift, bit.rshift, math.floor

--- A setting that is a whole number of at least `least`.
local function whole(name, default, least)
  local n = tm.setting(name, default)
  if n % 1 ~= 0 or n < least then
    error(("generate.lua: the setting '%s' is a whole number of at least %d, got %s (--set %s=…)"):format(name, least, n, name), 0)
  end
  return n
end

local events, seed, start = whole('events', 1000000, 0), whole('seed', 1, 0), whole('start', 1436918400000, 0)
local group, rate = whole('disorder', 1, 1), tm.setting('rate', 10000)
if rate ~= rate or rate <= 0 then error(("generate.lua: the setting 'rate' is a number above 0, got %s (--set rate=…)"):format(rate), 0) end

-- Of 50 events one is a person, three are auctions, the others bids.
local PERSONS, AUCTIONS, ALL = 1, 3, 50
local FIRST_ID, FIRST_CATEGORY, CATEGORIES = 1000, 10, 5
local ACTIVE_PERSONS, ACTIVE_AUCTIONS = 1000, 100   -- those that take part; and a few who are still to come:
local LEAD = 10
local HOT_GROUP = 100                               -- of 100 persons, and of 100 auctions, one is hot
local HOT_AUCTION, HOT_BIDDER, HOT_SELLER, HOT_CHANNEL = 1 / 2, 3 / 4, 3 / 4, 1 / 2
local CHANNELS = 10000
local PERSON_BYTES, AUCTION_BYTES, BID_BYTES = 200, 500, 100   -- without names of fields; `extra` fills up
local STRIDE = 953                                  -- a prime: walks once through every group that it does not divide
if group % STRIDE == 0 then error(("generate.lua: 'disorder' is no multiple of %d, got %d"):format(STRIDE, group), 0) end

local firsts = { 'Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter' }
local lasts = { 'Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris' }
local cities = { 'Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland', 'Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne' }
local states = { 'AZ', 'CA', 'ID', 'OR', 'WA', 'WY' }
local hot_channels = { 'Google', 'Facebook', 'Baidu', 'Apple' }

-- Random numbers -----------------------------------------------------------
-- All of an event are drawn at once, into `r`: LuaJIT compiles a loop, but gives up a small function that is called many times
-- an event. So the functions below use r[k] in place, and the small ones are called once or twice an event.

--- a * (high * 2^16 + low) in 32 bits: each product is below 2^48, which a double holds.
local function multiply(a, high, low) return tobit(tobit(a * low) + lshift(tobit(a * high), 16)) end

--- 32 bits well mixed: shifts and odd factors in turn, constants by C. Wellons ("Prospecting for Hash Functions", 2018).
local function mix(x)
  x = multiply(bxor(x, rshift(x, 16)), 0x7feb, 0x352d)
  x = multiply(bxor(x, rshift(x, 15)), 0x846c, 0xa68b)
  return bxor(x, rshift(x, 16))
end

local DRAWS = 16
local r = {}

--- Draws r[1] … r[DRAWS], in [0, 1), of what is called `name`: Weyl's sequence, mixed, as in SplitMix (Steele, Lea, Flood 2014).
local function roll(name)
  local at = mix(tobit(name))
  for k = 1, DRAWS do r[k] = (mix(tobit(at + k * 0x9e3779b9)) + 0x80000000) / 0x100000000 end
end

local seeded = mix(mix(tobit(seed)) + floor(seed / 0x100000000))

-- Texts: cut from long ones made at the start -------------------------------

local POOL = 65536

--- Letters, one of 13 of them `space`.
local function pool(space, salt)
  local list = {}
  for i = 1, POOL do
    local k = (i - 1) % 8 * 2
    if k == 0 then roll(mix(seeded + salt) + i) end
    list[i] = space and r[k + 1] * 13 < 1 and space or string.char(97 + floor(r[k + 2] * 26))
  end
  return table.concat(list)
end
local letters, words, names = pool(nil, 1), pool(' ', 2), pool('_', 3)

--- `size` bytes of a pool, from the place that a draw has chosen.
local function cut(text, size, place)
  local from = floor(place * (POOL - size))
  return text:sub(from + 1, from + size)
end

--- Three bytes to less than `most`.
local function short(text, most, length, place) return cut(text, 3 + floor(length * (most - 3)), place) end

--- What fills an event of `have` bytes up to `want`, give or take a fifth of what is missing.
local function extra(have, want, length, place)
  if have > want then return '' end
  local delta = floor((want - have) * 0.2 + 0.5)
  return cut(letters, want - have - delta + floor(length * 2 * delta), place)
end

--- A channel's page is always the same one; nine of ten tell the channel in their query.
local channels, urls = {}, {}
for i = 1, CHANNELS + #hot_channels do
  roll(mix(seeded + 4) + i)
  local page = ('https://www.nexmark.com/%s/%s/%s/item.htm?query=1'):format(short(names, 5, r[1], r[2]), short(names, 5, r[3], r[4]),
    short(names, 5, r[5], r[6]))
  local is_hot = i > CHANNELS
  channels[i] = is_hot and hot_channels[i - CHANNELS] or 'channel-' .. i - 1
  urls[i] = (is_hot or r[7] < 0.1) and page or ('%s&channel_id=%d'):format(page, floor(r[8] * 0x80000000))
end

-- Events --------------------------------------------------------------------

local function time_of(number) return start + floor(number * 1000 / rate) end

--- The last person, and the last auction, that there is at the event; from 0.
local function last_person(number) return floor(number / ALL) * PERSONS end
local function last_auction(number)
  return floor(number / ALL) * AUCTIONS + math.min(number % ALL - PERSONS, AUCTIONS - 1)
end

--- The first of the hundred that the newest one belongs to, or, unless the first draw says so, one of those who are active or come next.
local function some_person(last, is_hot, hot_share, place)
  if is_hot < hot_share then return FIRST_ID + last - last % HOT_GROUP end
  local active = math.min(last + 1, ACTIVE_PERSONS)
  return FIRST_ID + last + 1 - active + floor(place * (active + LEAD))
end

local function some_auction(last, is_hot, place)
  if is_hot < HOT_AUCTION then return FIRST_ID + last - last % HOT_GROUP end
  local least = math.max(last - ACTIVE_AUCTIONS, 0)
  return FIRST_ID + least + floor(place * (last - least + 1 + LEAD))
end

local function price(exponent) return floor(10 ^ (exponent * 6) * 100 + 0.5) end

local function person(number)
  local name = firsts[1 + floor(r[1] * #firsts)] .. ' ' .. lasts[1 + floor(r[2] * #lasts)]
  local email = short(letters, 7, r[3], r[4]) .. '@' .. short(letters, 5, r[5], r[6]) .. '.com'
  local card = ('%04d %04d %04d %04d'):format(floor(r[7] * 10000), floor(r[8] * 10000), floor(r[9] * 10000), floor(r[10] * 10000))
  local city, state = cities[1 + floor(r[11] * #cities)], states[1 + floor(r[12] * #states)]
  return ('{"kind":"person","ts":%d,"id":%d,"name":"%s","email":"%s","credit_card":"%s","city":"%s","state":"%s","extra":"%s"}'):format(
    time_of(number), FIRST_ID + last_person(number), name, email, card, city, state,
    extra(8 + #name + #email + #card + #city + #state, PERSON_BYTES, r[13], r[14]))
end

local function auction(number)
  local ts, first_bid = time_of(number), price(r[7])
  local name, description = tm.trim(short(words, 20, r[3], r[4])), tm.trim(short(words, 100, r[5], r[6]))
  -- so long that on average as many are open as are active
  local horizon = time_of(number + floor(ACTIVE_AUCTIONS * ALL / AUCTIONS)) - ts
  return ('{"kind":"auction","ts":%d,"id":%d,"item_name":"%s","description":"%s","initial_bid":%d,"reserve":%d,"expires":%d,\z
    "seller":%d,"category":%d,"extra":"%s"}'):format(
    ts, FIRST_ID + last_auction(number), name, description, first_bid, first_bid + price(r[8]),
    ts + 1 + floor(r[9] * math.max(2 * horizon, 1)), some_person(last_person(number), r[1], HOT_SELLER, r[2]),
    FIRST_CATEGORY + floor(r[10] * CATEGORIES), extra(48 + #name + #description, AUCTION_BYTES, r[11], r[12]))
end

local function bid(number)
  local is_hot = r[3] < HOT_BIDDER   -- the second of the hundred: the first one is the hot seller
  local bidder = some_person(last_person(number), r[3], HOT_BIDDER, r[4]) + (is_hot and 1 or 0)
  local i = r[5] < HOT_CHANNEL and CHANNELS + 1 + floor(r[6] * #hot_channels) or 1 + floor(r[6] * CHANNELS)
  return ('{"kind":"bid","ts":%d,"auction":%d,"bidder":%d,"price":%d,"channel":"%s","url":"%s","extra":"%s"}'):format(time_of(number),
    some_auction(last_auction(number), r[1], r[2]), bidder, price(r[7]), channels[i], urls[i], extra(32, BID_BYTES, r[8], r[9]))
end

return tm.pipeline 'nexmark':from(tm.source.generate(function(i)
  local n = i - 1
  local number = n - n % group + n * STRIDE % group
  roll(seeded + number)
  local turn = number % ALL
  if turn < PERSONS then return person(number) end
  if turn < PERSONS + AUCTIONS then return auction(number) end
  return bid(number)
end, { count = events }))
