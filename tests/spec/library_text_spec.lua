--[[
library_text_spec.lua - the functions of texts beside Python: str, urllib.parse, ipaddress, base64, hashlib, hmac, zlib, json; openssl
where it tells more; vectors of the RFCs. Logfmt beside a slow reader written here in Python.
]]

local h = require 'spec.helper'
local oracle = require 'spec.oracle'

local TEXTS = [[
alphabet = ["a", "B", ",", ", ", " ", "\t", "%", "+", "&", "=", "\"", "\\", "é", "ß", "Ä", "中", "😀", "x", "/", "?", "#", ":", "@", ".",
  "\n"]
def text(n=12): return "".join(r.choice(alphabet) for _ in range(r.randrange(n)))
]]

describe('plain texts', function()
  it('lower and upper map each character as Unicode says, all of them', function()
    -- the simple mapping is Python's full one where that is one character; the others are listed by hand from UnicodeData.txt
    oracle.agree([==[
import unicodedata
def one(full, c, special): return special.get(c, full if len(full) == 1 else c)
up = {"ᾳ": "ᾼ", "ῃ": "ῌ", "ῳ": "ῼ"}
for base in 0x1f80, 0x1f90, 0x1fa0:
  for k in range(8): up[chr(base + k)] = chr(base + 8 + k)
points = [c for c in range(1, 0x110000) if not 0xd800 <= c < 0xe000 and unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
for i in range(0, len(points), 100):
  s = "".join(chr(c) for c in points[i:i + 100])
  case({"s": s}, "".join(one(c.lower(), c, {"İ": "i"}) for c in s) + "".join(one(c.upper(), c, up) for c in s))
]==], 'return tm.lower(e.s) .. tm.upper(e.s)')
  end)

  it('split, replace, trim, starts, ends, contains, count do what Python does', function()
    oracle.agree(TEXTS .. [==[
for _ in range(4000):
  s, p, by = text(30), text(3) or ",", text(4)
  case({"s": s, "p": p, "by": by}, [s.split(p), s.replace(p, by), s.strip(" \t\n\r\v\f"), s.startswith(p), s.endswith(p), p in s,
    s.count(p)])
for n in range(40): case({"s": ",".join("x" * k for k in range(n)), "p": ",", "by": ""}, [[("x" * k) for k in range(n)] or [""],
  "".join("x" * k for k in range(n)), ",".join("x" * k for k in range(n)), n > 1 or False, 1 < 0 or (n == 1 and False), n > 1,
  max(0, n - 1)])
]==], 'return { tm.split(e.s, e.p), tm.replace(e.s, e.p, e.by), tm.trim(e.s), tm.starts(e.s, e.p), ' ..
      'tm.ends(e.s, e.p), tm.contains(e.s, e.p), tm.count(e.s, e.p) }')
  end)

  it('an empty prefix, suffix or part is in every text; what is looked for is not empty', function()
    local out = h.e([[stream:map(function(e) return { a = tm.starts(e.s, ''), b = tm.ends(e.s, ''), c = tm.contains(e.s, ''),
      d = tm.split('', ','), e = tm.trim ' \t ' } end)]], '{"s":""}\n')
    assert.equal('{"a":true,"b":true,"c":true,"d":[""],"e":""}\n', out)
    assert.truthy(oracle.error_of("tm.split(e.s, '')"):find('tm.split: the separator is empty', 1, true))
    assert.truthy(oracle.error_of("tm.count(e.s, '')"):find('tm.count: the part is empty', 1, true))
    assert.truthy(oracle.error_of("tm.replace(e.s, '', 'x')"):find('tm.replace: what to look for is empty', 1, true))
  end)

  it('bytes that are no UTF-8 stay as they are', function()
    local out = h.e([[stream:map(function(e) return { s = tm.hex.encode(tm.upper(tm.hex.decode(e.s))) } end)]],
      { '{"s":"61ff62"}', '{"s":"c3"}', '{"s":"eda080"}', '{"s":"f09f9861"}', '{"s":"c0afc3a4"}' })
    assert.equal('{"s":"41ff42"}\n{"s":"c3"}\n{"s":"eda080"}\n{"s":"f09f9841"}\n{"s":"c0afc384"}\n', out)
  end)
end)

describe('tm.url', function()
  it('cuts URLs as urllib.parse does', function()
    oracle.agree([==[
from urllib.parse import urlsplit
def word(): return "".join(r.choice("abcXYZ019-._~%+") for _ in range(r.randrange(1, 6)))
for _ in range(4000):
  host = r.choice([word().replace("%", ""), "[2001:DB8::1]", "example.org", "127.0.0.1", ""])
  s = r.choice(["http:", "HTTPS:", "ftp:", "", "a+b:", "1x:"])
  if r.random() < .8: s += "//" + r.choice(["", "", word() + "@", word() + ":" + word() + "@", "@"]) + host + r.choice(["", "", ":80",
    ":8443", ":"])
  elif s in ("", "1x:"): s = ""
  s += r.choice(["", "/", "/" + word(), "/" + word() + "/" + word() + "/"]) + r.choice(["", "", "?" + word(), "?a=1&b=2",
    "?x?y"]) + r.choice(["", "", "#" + word(), "#a?b#c"])
  u = urlsplit(s)
  query = s.split("#")[0].partition("?")
  out = {"scheme": u.scheme or None, "path": u.path, "query": query[2] if query[1] else None, "fragment": s.partition("#")[2]
    if "#" in s else None}
  if "//" in s[:s.find("/") + 2] and s.split("/")[0] in ("", u.scheme + ":", u.scheme.upper() + ":"):
    out.update(host=u.hostname or "", port=u.port, user=u.username, password=u.password)
  case({"s": s}, {k: v for k, v in out.items() if v is not None})
]==], 'return tm.url.parse(e.s)')
  end)

  it('reads queries and percent-encoding as urllib.parse does', function()
    oracle.agree(TEXTS .. [==[
from urllib.parse import parse_qsl, quote, unquote_to_bytes, quote_plus
for _ in range(3000):
  pairs = [(text(5), text(6)) for _ in range(r.randrange(5))]
  q = "&".join(quote_plus(a) + r.choice(["=", "="]) + quote_plus(b) for a, b in pairs)
  if r.random() < .2: q = q + r.choice(["&", "&&x", "&flag", "&=v"])
  first = {}
  for a, b in parse_qsl(q, keep_blank_values=True): first.setdefault(a, b)
  name = r.choice([a for a, b in pairs] or ["none"])
  url = r.choice(["", "http://h/p?", "?", "/x?"]) + q + r.choice(["", "", "#a=b&c=d"])
  s = text(20)
  broken = "".join(r.choice(["%", "4", "1", "g", "%41", "%zz", "+"]) for _ in range(8))
  case({"u": url, "n": name, "s": s, "b": broken}, [first or [], first.get(name) or "", quote(s, safe=""), s,
    unquote_to_bytes(broken).hex()])
]==], [[local all = tm.url.query(e.u)
  return { next(all) and all or tm.array {}, tm.url.query(e.u, e.n) or '', tm.url.encode(e.s), tm.url.decode(tm.url.encode(e.s)),
    tm.hex.encode(tm.url.decode(e.b)) }]])
  end)
end)

describe('tm.ip', function()
  it('knows addresses and their one spelling as ipaddress does', function()
    oracle.agree([==[
import ipaddress as ip
def v6(): return ip.IPv6Address(r.choice([r.getrandbits(128),
  r.getrandbits(128) & r.getrandbits(128) & r.getrandbits(128) & r.getrandbits(128), r.getrandbits(16) << 112 | r.getrandbits(16)]))
def spell(a):
  s = r.choice([str(a), a.exploded, str(a).upper()])
  if a.version == 6 and r.random() < .3:
    head = a.exploded.split(":")[:6]
    s = ":".join(head) + ":" + str(ip.IPv4Address(int(a) & 0xffffffff))
  return s
for _ in range(4000):
  a = r.choice([ip.IPv4Address(r.getrandbits(32)), v6()])
  s = spell(a)
  if r.random() < .4:
    k = r.randrange(len(s) + 1)
    s = r.choice([s[:k] + r.choice(":.0gf1/% ") + s[k:], s[:k] + s[k + 1:]])
  try: a = ip.ip_address(s)
  except ValueError: a = None
  if a is not None and "%" in s: a = None
  if a is None: case({"s": s}, False); continue
  own = str(a)
  if a.version == 6 and a.ipv4_mapped: own = "::ffff:" + str(a.ipv4_mapped)
  b = a.ipv4_mapped if a.version == 6 and a.ipv4_mapped else a
  inside = lambda *nets: any(b in ip.ip_network(n) for n in nets)
  case({"s": s}, {"version": a.version, "text": own, "loopback": inside("127.0.0.0/8", "::1/128"),
    "private": inside("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")})
for s in ["", ":", "::", ":::", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "::1.2.3.4", "1::2::3", "1:2:3:4:5:6:7::",
  "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1.2.3.4::", "::ffff:1.2.3.4", "12345::", "fe80::1%eth0"]:
  try: a = ip.ip_address(s) if "%" not in s else None
  except ValueError: a = None
  case({"s": s, "only": True}, a is not None)
]==], 'if e.only then return tm.ip.valid(e.s) end return tm.ip.parse(e.s) or false')
  end)

  it('finds addresses in lists of thousands as ipaddress does, one by one', function()
    local nets = h.shell([[python3 -c '
import ipaddress as ip, random
r = random.Random(9)
for _ in range(2000):
  v = r.choice([4, 4, 6])
  print(ip.ip_network((r.getrandbits(32), r.randrange(8, 33)),
    False) if v == 4 else ip.ip_network((0x20010db8 << 96 | r.getrandbits(64) << r.randrange(32), r.randrange(40, 129)), False))']]).out
    local list = {}
    for net in nets:gmatch '[^\n]+' do list[#list + 1] = ('%q'):format(net) end
    oracle.agree('import ipaddress as ip\nnets = [ip.ip_network(n) for n in [' .. table.concat(list, ',') .. ']]\n' .. [==[
for _ in range(1500):
  net = r.choice(nets)
  a = r.choice([net[0], net[-1], net[0] - 1 if int(net[0]) else net[0],
    net[-1] + 1 if int(net[-1]) < 2 ** net.max_prefixlen - 1 else net[-1], ip.IPv4Address(r.getrandbits(32)),
    net[r.randrange(min(net.num_addresses, 1 << 60))]])
  one = r.choice(nets)
  s = str(a)
  if a.version == 4 and r.random() < .1: s = "::ffff:" + s
  case({"s": s, "one": str(one)}, [any(a in n for n in nets if n.version == a.version), a in one if a.version == one.version else False])
]==], 'return { tm.ip.within(e.s, nets), tm.ip.within(e.s, e.one) }', 'local nets = { ' .. table.concat(list, ',') .. ' }')
  end)

  it('reads a list again when it has grown, masks host bits, refuses what is no network', function()
    local out = h.e([[local l = { '10.0.0.1/8' }
      return stream:map(function(e) local a = tm.ip.within('11.0.0.1', l) if e.n == 1 then l[2] = '11.0.0.1' end
        return { a = a, b = tm.ip.within('10.9.9.9', l), c = tm.ip.within('1.2.3.4', {}), d = tm.ip.within('1.2.3.4', '::/0'),
          e = tm.ip.within('1.2.3.4', '0.0.0.0/0'), f = tm.ip.within('::', '::/0') } end)]], { '{"n":1}', '{"n":2}' })
    assert.equal('{"a":false,"b":true,"c":false,"d":false,"e":true,"f":true}\n' ..
      '{"a":true,"b":true,"c":false,"d":false,"e":true,"f":true}\n', out)
    for call, expected in pairs {
      ["tm.ip.within('x', '10.0.0.0/8')"] = "tm.ip.within: 'x' is no IP address",
      ["tm.ip.within('1.2.3.4', { '10.0.0.0/8', '10.0.0.0/33' })"] =
        "item 2 of the list is '10.0.0.0/33', no address or network such as '10.0.0.0/8'",
      ["tm.ip.within('1.2.3.4', { 5 })"] = 'item 1 of the list is a number',
      ["tm.ip.within('1.2.3.4', '10.0.0.0/08')"] = "'10.0.0.0/08' is no address or network",
      ["tm.ip.within('1.2.3.4', '10.0.0.0/')"] = 'is no address or network',
      ["tm.ip.within('1.2.3.4', 5)"] = 'tm.ip.within takes a network or a list of them as its second argument, got a number',
      ["tm.ip.private(e.x)"] = 'tm.ip.private takes an address as a string, got nil',
      ["tm.ip.loopback 'localhost'"] = "tm.ip.loopback: 'localhost' is no IP address",
    } do
      local said = oracle.error_of(call)
      assert.truthy(said:find(expected, 1, true), call .. '\n' .. said)
    end
  end)
end)

describe('digests', function()
  it('are those of hashlib, hmac and zlib, of texts of all lengths around their blocks', function()
    oracle.agree([==[
import hashlib, hmac, zlib
for n in list(range(0, 300)) + [1000, 4096, 65537]:
  s, key = "".join(chr(r.randrange(1, 128)) for _ in range(n)), "".join(chr(r.randrange(1, 128)) for _ in range(r.randrange(200)))
  b, k = s.encode(), key.encode()
  kinds = ["md5", "sha1", "sha256", "sha512"]
  case({"s": s, "k": key}, [hashlib.new(x, b).hexdigest() for x in kinds] + [hmac.new(k, b, x).hexdigest()
    for x in kinds] + ["%08x" % zlib.crc32(b)])
]==], [[local t = {}
  for i, kind in ipairs { 'md5', 'sha1', 'sha256', 'sha512' } do t[i], t[i + 4] = tm.hash[kind](e.s), tm.hmac[kind](e.k, e.s) end
  t[9] = tm.hash.crc32(e.s)
  return t]])
  end)

  it('are the published ones', function()
    -- RFC 1321 A.5, RFC 4231 test cases 1, 6; xxHash's own XSUM_XXH3 sanity values (seed 0) of the empty text
    for call, expected in pairs {
      ["tm.hash.md5 'message digest'"] = 'f96b697d7cb7938d525a2f31aaf161d0',
      ["tm.hash.md5 '12345678901234567890123456789012345678901234567890123456789012345678901234567890'"] =
        '57edf4a22be3c955ac49da2e2107b67a',
      ["tm.hmac.sha256(('\\11'):rep(20), 'Hi There')"] = 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      ["tm.hmac.sha256(('\\170'):rep(131), 'Test Using Larger Than Block-Size Key - Hash Key First')"] =
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      ["tm.hash.xxh3 ''"] = '2d06800538d394c2', ["tm.hash.crc32 '123456789'"] = 'cbf43926',
    } do
      assert.equal('{"s":"' .. expected .. '"}\n', (h.e('stream:map(function(e) return { s = ' .. call .. ' } end)', '{}\n')), call)
    end
  end)

  it('are those of openssl dgst', function()
    local text = ('tidemill '):rep(1000)
    for _, kind in ipairs { 'md5', 'sha1', 'sha256', 'sha512' } do
      local expected = h.shell('openssl dgst -r -' .. kind, text).out:match '^%x+'
      assert.equal('{"s":"' .. expected .. '"}\n',
        (h.e('stream:map(function(e) return { s = tm.hash.' .. kind .. '(e.s) } end)', '{"s":"' .. text .. '"}\n')))
    end
  end)

  it('read no configuration of OpenSSL', function()
    local conf = h.write('openssl_conf = nowhere\nthis is broken [[[\n', h.path 'openssl.cnf')
    local r = h.shell('OPENSSL_CONF=' .. conf .. ' ' ..
      h.command { 'run', '--quiet', '-e', "stream:map(function(e) return { s = tm.hash.md5 'a' } end)" }, '{}\n')
    assert.equal('{"s":"0cc175b9c0f1b6a831c399e269772661"}\n', r.out, r.err)
  end)
end)

describe('base64 and hex', function()
  it('are those of Python, both alphabets, back and forth', function()
    oracle.agree([==[
import base64
for n in range(400):
  b = bytes(r.randrange(256) for _ in range(n if n < 100 else r.randrange(100)))
  plain, url = base64.b64encode(b).decode(), base64.urlsafe_b64encode(b).decode().rstrip("=")
  case({"s": b.hex()}, [plain, url, b.hex(), b.hex(), b.hex(), b.hex()])
]==], [[local b = tm.hex.decode(e.s)
  local plain, url = tm.base64.encode(b), tm.base64.encode(b, 'url')
  local hex = tm.hex.encode
  return { plain, url, hex(tm.base64.decode(plain)), hex(tm.base64.decode(url)), hex(tm.base64.decode((plain:gsub('=', '')))), hex(b) }]])
  end)

  it('are those of RFC 4648, section 10', function()
    for plain, code in pairs { [''] = '', f = 'Zg==', fo = 'Zm8=', foo = 'Zm9v', foob = 'Zm9vYg==', fooba = 'Zm9vYmE=',
      foobar = 'Zm9vYmFy' } do
      assert.equal('{"a":"' .. code .. '","b":"' .. plain .. '"}\n', (h.e(("stream:map(function(e) return { a = tm.base64.encode '%s', \z
        b = tm.base64.decode '%s' } end)"):format(plain, code), '{}\n')))
    end
  end)

  it('tell where a text is none', function()
    for call, expected in pairs {
      ["tm.base64.decode 'aGVs!G8='"] = "tm.base64.decode: 'aGVs!G8=' has '!' at byte 5, expected letters, digits, + / or - _",
      ["tm.base64.decode 'aGVsb'"] = "'aGVsb' ends too early, or its padding is wrong",
      ["tm.base64.decode 'aGVsbA='"] = 'ends too early, or its padding is wrong',
      ["tm.base64.decode 'aG=sbA=='"] = "has '=' at byte 3", ["tm.base64.decode 'aG Vs'"] = "has ' ' at byte 3",
      ["tm.base64.encode('x', 'mime')"] = "tm.base64.encode takes 'url' or nothing as its second argument (alphabet), got a string",
      ["tm.hex.decode 'a0g1'"] = "has 'g' at byte 3, expected two hexadecimal digits a byte", ["tm.hex.decode 'abc'"] = 'ends too early',
      ["tm.hash.sha256(5)"] = 'tm.hash.sha256 takes a string, got a number', ["tm.hmac.sha1('k')"] =
        'tm.hmac.sha1 takes a string as its second argument (text), got nil',
      ["tm.hash.sha3 'x'"] = "tm.hash has no 'sha3' (did you mean 'sha1'?)", ["tm.lower(nil)"] = 'tm.lower takes a string, got nil',
      ["tm.upper(e)"] = 'tm.upper takes a string, got an event or an object of one', ["tm.starts('x', tm.null)"] =
        'tm.starts takes a string as its second argument (prefix), got null',
      ["tm.url.query('x', 5)"] = 'tm.url.query takes a string as its second argument (name), got a number',
      ["tm.trimm 'x'"] = "tm has no 'trimm' (did you mean 'trim'?)",
    } do
      local said = oracle.error_of(call)
      assert.truthy(said:find(expected, 1, true), call .. '\n' .. said)
    end
  end)
end)

describe('tm.kv', function()
  it('reads lines as a slow reader does, with any separators, and what it writes', function()
    oracle.agree(TEXTS .. [==[
def slow(s, pair, field):
  out, i = {}, 0
  blank = lambda i: i < len(s) and (s[i] in " \t\n\r\v\f" if pair == " " else s.startswith(pair, i))
  step = 1 if pair == " " else len(pair)
  while i < len(s):
    if blank(i): i += step; continue
    key = ""
    while i < len(s) and not blank(i) and not s.startswith(field, i): key += s[i]; i += 1
    if not s.startswith(field, i): out[key] = True; continue
    i += len(field)
    value = ""
    if s[i:i + 1] == '"':
      i += 1
      while i < len(s) and s[i] != '"':
        if s[i] == "\\" and i + 1 < len(s):
          value += {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}.get(s[i + 1], s[i:i + 2]); i += 2
        else: value += s[i]; i += 1
      i += 1
    while i < len(s) and not blank(i): value += s[i]; i += 1
    out[key] = value
  return out
for _ in range(4000):
  pair, field = r.choice([(" ", "="), (" ", "="), (";", ":"), (", ", "=>"), ("&", "=")])
  s = "".join(r.choice(["a", "b", "key", "é", " ", pair, pair, field, field, '"', "\\", "\\n", '\\"', "=", ";"])
    for _ in range(r.randrange(16)))
  case({"s": s, "p": pair, "f": field}, slow(s, pair, field) or [])
  t = {"k%d" % i: r.choice([text(8), r.randrange(1000), r.random() < .5]) for i in range(r.randrange(1, 5))}
  back = {k: "true" if v is True else "false" if v is False else str(v) for k, v in t.items()}
  case({"t": t, "p": pair, "f": field}, back)
]==], [[local o = { pair = e.p, field = e.f }
  local t = tm.kv.parse(e.s or tm.kv.format(e.t, o), o)
  return next(t) and t or tm.array {}]])
  end)

  it('refuses what cannot be written or meant', function()
    for call, expected in pairs {
      ["tm.kv.format { a = {} }"] = "tm.kv.format: 'a' holds a table; it writes strings, numbers and booleans",
      ["tm.kv.format { a = 0/0 }"] = "tm.kv.format: 'a' holds NaN or infinity",
      ["tm.kv.format { ['a b'] = 1 }"] = "the key 'a b' cannot be written", ["tm.kv.format { [''] = 1 }"] = "the key '' cannot be written",
      ["tm.kv.format { 1 }"] = "an object's keys must be strings, found a number",
        ["tm.kv.format(5)"] = 'tm.kv.format takes a table as its first argument',
      ["tm.kv.parse('', { pair = '' })"] = "option 'pair' is a text of 1 to 16 bytes without a quote, got ''",
      ["tm.kv.parse('', { filed = '=' })"] = "tm.kv.parse has no option 'filed' (did you mean 'field'?)",
    } do
      local said = oracle.error_of(call)
      assert.truthy(said:find(expected, 1, true), call .. '\n' .. said)
    end
  end)
end)

describe('tm.json, tm.geo, tm.log', function()
  it('json goes through as Python has it', function()
    oracle.agree(TEXTS .. [==[
def value(depth):
  kind = r.randrange(7 if depth < 4 else 5)
  if kind == 0: return text(8)
  if kind == 1: return r.randrange(-10**9, 10**9)
  if kind == 2: return r.random()
  if kind == 3: return r.choice([True, False])
  if kind == 4: return None
  if kind == 5: return [value(depth + 1) for _ in range(r.randrange(4))]
  return {text(5) or "k": value(depth + 1) for _ in range(r.randrange(4))}
for _ in range(1500):
  v = value(0)
  s = json.dumps(v, ensure_ascii=r.random() < .5, indent=r.choice([None, 1]))
  case({"s": s}, {"v": v})
for s in "", "[1,]", "{'a':1}", "nul", "\"\\x\"", "[" * 600, "1 2", "{\"a\":01}": case({"s": s}, "error")
]==], 'return { v = tm.json.decode(tm.json.encode(tm.json.decode(e.s))) }')
  end)

  it('distances are those of the Vincenty formula on a sphere', function()
    oracle.agree([==[
import math
for _ in range(3000):
  a, b, c, d = r.uniform(-90, 90), r.uniform(-180, 180), r.uniform(-90, 90), r.uniform(-180, 180)
  if r.random() < .2: c, d = a + r.uniform(-.001, .001), b + r.uniform(-.001, .001)
  if r.random() < .1: c, d = -a, b + 180
  if not -90 <= c <= 90: continue
  p, q, l = math.radians(a), math.radians(c), math.radians(d - b)
  km = 6371.0088 * math.atan2(math.hypot(math.cos(q) * math.sin(l), math.cos(p) * math.sin(q) - math.sin(p) * math.cos(q) * math.cos(l)),
    math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(l))
  case({"a": a, "b": b, "c": c, "d": d, "km": km}, True)
]==], 'local km = tm.geo.km(e.a, e.b, e.c, e.d) return math.abs(km - e.km) < 1e-3')
    for call, expected in pairs {
      ['tm.geo.km(91, 0, 0, 0)'] = 'tm.geo.km: a latitude lies within -90 and 90, a longitude within -360 and 360; got 91, 0, 0, 0',
      ['tm.geo.bearing(0, 0, 0)'] = 'tm.geo.bearing takes a number as its fourth argument (longitude), got nil',
    } do assert.truthy(oracle.error_of(call):find(expected, 1, true), call) end
    assert.equal('{"e":90,"n":0,"s":180,"w":270}\n', (h.e([[stream:map(function(e) local b = tm.geo.bearing
      return { n = b(0, 0, 1, 0), e = b(0, 0, 0, 1), s = b(0, 0, -1, 0), w = b(0, 0, 0, -1) } end)]], '{}\n')))
  end)

  it('log writes lines with their level, from the level asked for on', function()
    local code = "stream:map(function(e) tm.log.debug('d', e.n) tm.log.info('i', {}) tm.log.warn(nil, true) tm.log.error('x') return e end)"
    local _, r = h.e(code, '{"n":1}\n')
    assert.equal('info: i table\nwarn: nil true\nerror: x\n', r.err)
    _, r = h.e(code, '{"n":1}\n', '--set', 'log=debug')
    assert.truthy(r.err:find('^debug: d 1\n'))
    _, r = h.e(code, '{"n":1}\n', '--set', 'log=error')
    assert.equal('error: x\n', r.err)
    _, r = h.e('local log = tm.log ' .. 'return ' .. code, '{"n":1}\n', '--set', 'log=warm')
    assert.truthy(r.err:find("--set log: no level is called 'warm' (did you mean 'warn'?)", 1, true), r.err)
    local lines = {}
    for i = 1, 3000 do lines[i] = '{}' end
    _, r = h.e("stream:map(function(e) tm.log.warn 'again' return e end)", lines)
    local _, n = r.err:gsub('again', '')
    assert.truthy(n >= 200 and n <= 200 * (r.seconds + 2), n)
  end)
end)
