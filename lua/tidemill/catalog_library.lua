--[[
catalog_library.lua - the catalog's entries of the library in scripts (lua/tidemill/library); see catalog.lua for what stands in an
entry. cost_ns is that of one call, by tests/bench/library.lua.
]]

local KV_OPTIONS = {
  { 'pair', 'any', "what stands between pairs, 1 to 16 bytes; ' ': any white space", default = "' '" },
  { 'field', 'any', 'what stands between key and value', default = "'='" },
}

--- An entry whose example sets the field `x` of an event { s = … }.
local function entry(name, signature, cost_ns, about, example, input, output, more, options)
  return { name = name, signature = signature, cost_ns = cost_ns, about = about, more = more, options = options,
    example = 'stream:map(function(e) return { x = ' .. example .. ' } end)', input = { input }, output = { '{"x":' .. output .. '}' } }
end

local list = {
  entry('tm.date.parse', "tm.date.parse(s [, format [, zone]])", 300, 'A text as a point in time: integer milliseconds since 1970.',
    "tm.date.parse(e.s, '%d.%m.%Y %H:%M', 'Europe/Berlin')", '{"s":"01.07.2024 12:00"}', '1719828000000', {
      "format: strptime's letters, and %f %L %N for digits of a second, %z for +02:00, +0200 or Z, %Z for UTC, GMT or a name of the",
      "zone's own; or 'iso8601' (the default), 'rfc3339', or 's' 'ms' 'us' 'ns' since 1970, which take numbers too.",
      "zone: a name such as 'Europe/Berlin', an offset such as '+02:00', or 'UTC' (the default); an offset in the text goes before it.",
      'A time that the clocks show twice is the first one; one that they leave out is reckoned with the offset before the change.',
      'What is beyond a millisecond is cut off; a year that is missing is 1970. Raises where text and format do not fit.' }),
  entry('tm.date.format', "tm.date.format(ms [, format [, zone]])", 1000, 'A point in time as text.',
    "tm.date.format(e.s, '%Y-%m-%d %H:%M %Z', 'Europe/Berlin')", '{"s":1719828000000}', '"2024-07-01 12:00 CEST"', {
      "format: strftime's letters, flags and widths as GNU date has them, %f for microseconds, %L for milliseconds; or the names that",
      'tm.date.parse takes. zone: likewise.' }),
  entry('tm.json.decode', 'tm.json.decode(s)', 3000, 'The value of a JSON text; raises where it is none.',
    'tm.json.decode(e.s).a[2]', [[{"s":"{\"a\":[1,2]}"}]], '2',
      { 'null is tm.null. Integers beyond 2^53 raise. Cost is that of four members.' }),
  entry('tm.json.encode', 'tm.json.encode(v)', 3000, 'A value as JSON text, keys in byte order.',
    'tm.json.encode { b = 1, a = e.s }', '{"s":"x"}', [["{\"a\":\"x\",\"b\":1}"]]),
  entry('tm.kv.parse', 'tm.kv.parse(s [, options])', 3000, 'A line of pairs (logfmt and the like) as a table of texts.',
    'tm.kv.parse(e.s).msg', [[{"s":"level=warn msg=\"disk full\" n=3"}]], '"disk full"', {
      'A key without a value is true; of equal keys the last counts. In quotes \\" \\\\ \\n \\r \\t are read.',
      'Cost is that of four pairs.' },
    KV_OPTIONS),
  entry('tm.kv.format', 'tm.kv.format(t [, options])', 3000, 'A table as a line of pairs, keys in byte order.',
    "tm.kv.format { level = 'warn', msg = e.s }", '{"s":"disk full"}', [["level=warn msg=\"disk full\""]],
    { 'Values are strings, numbers and booleans; those that need quotes have them.' }, KV_OPTIONS),
  entry('tm.url.parse', 'tm.url.parse(s)', 1000,
    'The parts of a URL: scheme, user, password, host, port (a number), path, query, fragment.',
    'tm.url.parse(e.s).port', '{"s":"https://example.org:8443/a?b=1#c"}', '8443',
    { 'Parts are not decoded; scheme and host are in small letters. What is not there is nil, but for path.' }),
  entry('tm.url.query', "tm.url.query(s [, 'name'])", 300, "A value of a URL's query, decoded; without a name a table of all.",
    "tm.url.query(e.s, 'q')", '{"s":"/search?q=two+words&n=1"}', '"two words"',
    { 'The first one of that name, or nil. A text without a ? is taken for the query itself.' }),
  entry('tm.url.decode', 'tm.url.decode(s)', 1000, '%41 as A.', 'tm.url.decode(e.s)', '{"s":"100%25"}', '"100%"',
    { 'A % without two hexadecimal digits stays, and so does +.' }),
  entry('tm.url.encode', 'tm.url.encode(s)', 1000, 'All but letters, digits and - . _ ~ as %XX.', 'tm.url.encode(e.s)', '{"s":"a/b"}',
    '"a%2Fb"'),
  { name = 'tm.re', signature = 'tm.re(pattern [, flags])', cost_ns = 3000,
    about = 'A regular expression (PCRE2), compiled to machine code once: :match :test :find :each :gsub.',
    more = { 'flags: i any case, m ^ and $ at lines, s . takes a line\'s end, x white space and # comments, ' ..
        'u \\w \\d \\s of Unicode, b bytes.',
      ':match(s [, from]) gives the captures as a list, or by name and number where groups have names; nil: no match.',
      ':test(s) is true or false; :find(s [, from]) the first and last byte; for m in re:each(s) do … end all matches.',
      ':gsub(s, by [, max]) replaces: by a text with %0 to %9, %{name} and %%, or by what a function of the captures returns.',
      ":fields 'name' is a function for map: the captures of that field's text, by name, become the event. No strings are made of them, so",
      'it is the fast way to read lines. With { add = true } they are added to the event, and one that does not match goes on as it is.',
      'A search that takes too many steps raises, after milliseconds. Cost is that of a match with nine captures.' },
    example = [[stream:map(function(e) return tm.re '^(?<user>\\w+)@(?<host>[\\w.]+)$':match(e.s) end)]],
    input = { '{"s":"ann@example.org"}', '{"s":"nobody"}' }, output = { '{"host":"example.org","user":"ann"}' } },
  entry('tm.ip.parse', 'tm.ip.parse(s)', 300, 'An IP address as { version, text, private, loopback }; nil: it is none.',
    'tm.ip.parse(e.s).text', '{"s":"2001:DB8:0:0::1"}', '"2001:db8::1"', { 'text is its one spelling (RFC 5952).' }),
  entry('tm.ip.valid', 'tm.ip.valid(s)', 100, 'True for an IP address, false for anything else.', 'tm.ip.valid(e.s)',
    '{"s":"10.0.0.256"}', 'false'),
  entry('tm.ip.within', "tm.ip.within(s, 'network' | { 'network', … })", 100,
    'True for an address that lies in a network, or in one of a list.',
    "tm.ip.within(e.s, { '10.0.0.0/8', '2001:db8::/32' })", '{"s":"10.1.2.3"}', 'true', {
      'Make a long list once, outside of the function: it is sorted at its first use and searched by halves. It is read again when its',
      'length has changed. ::ffff:10.1.2.3 lies where 10.1.2.3 does. What is no address raises.' }),
  entry('tm.ip.private', 'tm.ip.private(s)', 100, 'True for an address of a private network (RFC 1918, RFC 4193).', 'tm.ip.private(e.s)',
    '{"s":"192.168.1.1"}', 'true'),
  entry('tm.ip.loopback', 'tm.ip.loopback(s)', 100, "True for one of the machine's own (127.0.0.0/8, ::1).", 'tm.ip.loopback(e.s)',
    '{"s":"::1"}', 'true'),
  entry('tm.geo.km', 'tm.geo.km(lat1, lon1, lat2, lon2)', 100, 'Great-circle distance in km, of degrees (haversine, mean radius).',
    'math.floor(tm.geo.km(52.52, 13.405, 48.8566, 2.3522))', '{"s":1}', '877'),
  entry('tm.geo.bearing', 'tm.geo.bearing(lat1, lon1, lat2, lon2)', 100, 'The direction in which the way begins: 0 is north, 90 east.',
    'math.floor(tm.geo.bearing(52.52, 13.405, 48.8566, 2.3522))', '{"s":1}', '246'),
  entry('tm.base64.encode', "tm.base64.encode(s [, 'url'])", 300, "Bytes as base64; 'url': - and _ for + and /, no padding.",
    'tm.base64.encode(e.s)', '{"s":"hello"}', '"aGVsbG8="'),
  entry('tm.base64.decode', 'tm.base64.decode(s)', 100, 'The bytes of base64, either alphabet, with padding or without.',
    'tm.base64.decode(e.s)', '{"s":"aGVsbG8"}', '"hello"'),
  entry('tm.hex.encode', 'tm.hex.encode(s)', 100, 'Bytes as hexadecimal digits.', 'tm.hex.encode(e.s)', '{"s":"hi"}', '"6869"'),
  entry('tm.hex.decode', 'tm.hex.decode(s)', 100, 'The bytes of hexadecimal digits.', 'tm.hex.decode(e.s)', '{"s":"6869"}', '"hi"'),
  entry('tm.lower', 'tm.lower(s)', 300, "Small letters, by Unicode's simple mapping.", 'tm.lower(e.s)', '{"s":"STRASSE Ä"}', '"strasse ä"',
    { "One character becomes one: 'ß' stays in tm.upper. Bytes that are no UTF-8 stay too. string.lower is ASCII's." }),
  entry('tm.upper', 'tm.upper(s)', 300, "Capital letters, by Unicode's simple mapping.", 'tm.upper(e.s)', '{"s":"é1"}', '"É1"'),
  entry('tm.trim', 'tm.trim(s)', 100, "Without the white space (ASCII's) at both ends.", 'tm.trim(e.s)', '{"s":"  a b "}', '"a b"'),
  entry('tm.split', 'tm.split(s, separator)', 300, 'The parts between separators, which are plain text; empty ones too.',
    "tm.split(e.s, ',')", '{"s":"a,,b"}', '["a","","b"]'),
  entry('tm.starts', 'tm.starts(s, prefix)', 30, 'True where s begins with it.', "tm.starts(e.s, '/api')", '{"s":"/api/v1"}', 'true'),
  entry('tm.ends', 'tm.ends(s, suffix)', 30, 'True where s ends with it.', "tm.ends(e.s, '.png')", '{"s":"a.png"}', 'true'),
  entry('tm.contains', 'tm.contains(s, part)', 30, 'True where the part is in s, as it stands.', "tm.contains(e.s, '..')",
    '{"s":"a/../b"}', 'true'),
  entry('tm.count', 'tm.count(s, part)', 30, 'How often the part is in s, as it stands; places do not overlap.', "tm.count(e.s, '.')",
    '{"s":"1.2.3"}', '2'),
  entry('tm.replace', 'tm.replace(s, part, by)', 100, 'Every part replaced, both as they stand.', "tm.replace(e.s, '.', '-')",
    '{"s":"1.2.3"}',
    '"1-2-3"'),
}

local digests = {
  { 'md5', 'MD5', '900150983cd24fb0d6963f7d28e17f72' }, { 'sha1', 'SHA-1', 'a9993e364706816aba3e25717850c26c9cd0d89d' },
  { 'sha256', 'SHA-256', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' },
  { 'sha512', 'SHA-512', 'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce\z
    80e2a9ac94fa54ca49f' },
  { 'xxh3', 'XXH3 of 64 bits, for spreading and comparing, not against forgers', '78af5f94892f3950' },
  { 'crc32', "CRC-32 (gzip's), not against forgers", '352441c2' },
}
for _, d in ipairs(digests) do
  list[#list + 1] = entry('tm.hash.' .. d[1], 'tm.hash.' .. d[1] .. '(s)', 1000, d[2] .. ', as hexadecimal digits.',
    'tm.hash.' .. d[1] .. '(e.s)',
    '{"s":"abc"}', '"' .. d[3] .. '"')
end

-- RFC 2202 and RFC 4231, test case 2
local signatures = {
  { 'md5', 'MD5', '750c783e6ab0b503eaa86e310a5db738' }, { 'sha1', 'SHA-1', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79' },
  { 'sha256', 'SHA-256', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' },
  { 'sha512', 'SHA-512', '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6\z
    b4b636e070a38bce737' },
}
for _, d in ipairs(signatures) do
  list[#list + 1] = entry('tm.hmac.' .. d[1], 'tm.hmac.' .. d[1] .. '(key, s)', 3000, 'HMAC with ' .. d[2] .. ', as hexadecimal digits.',
    'tm.hmac.' .. d[1] .. "('Jefe', e.s)", '{"s":"what do ya want for nothing?"}', '"' .. d[3] .. '"')
end

for _, level in ipairs { 'debug', 'info', 'warn', 'error' } do
  list[#list + 1] = { name = 'tm.log.' .. level, signature = 'tm.log.' .. level .. '(…)', cost_ns = 3000,
    about = 'A line on stderr that begins with ' .. level .. ':, at most 200 a second together with print.',
    more = level == 'debug' and { 'Left out unless --set log=debug is given; --set log=warn leaves out info too.' } or nil,
    example = 'stream:filter(function(e) if e.n > 9 then tm.log.' .. level .. "('large', e.n) end return true end)",
    input = { '{"n":1}' }, output = { '{"n":1}' } }
end

return list
