--[[
examples_spec.lua - every script in scripts/examples does what its comment says.

What is expected is computed from the same sample by jq, where its numbers suffice, and by Python with integers and decimals
of any size elsewhere; both are given the task in their own language. Rows are compared as text after one normaliser that
keeps every number's digits.
]]

local h = require 'spec.helper'

local SAMPLES = 'scripts/examples/data/'

--- Rows with their members in byte order and every number as it was written.
local function normal(text)
  local r = h.shell([[python3 -c '
import json, sys
for line in sys.stdin:
  if line.strip():
    print(json.dumps(json.loads(line, parse_int=lambda s: "#" + s, parse_float=lambda s: "#" + s), sort_keys=True))']], text)
  assert(r.code == 0, r.err)
  return r.out
end

local function jq(program, sample)
  local r = h.shell(("jq -c '%s' %s%s"):format(program, SAMPLES, sample))
  assert(r.code == 0, r.err)
  return r.out
end

--- Runs a Python program that reads the sample on stdin and prints rows.
local function python(program, sample)
  local head = 'import json, sys\nfrom decimal import Decimal, ROUND_HALF_EVEN\n'
  local r = h.shell(('python3 %s < %s%s'):format(h.quote(h.write(head .. program)), SAMPLES, sample))
  assert(r.code == 0, r.err)
  return r.out
end

local function example(name, sample, dir, ...)
  local args = { 'run', 'scripts/examples/' .. name, ... }
  if sample then args[#args + 1] = '--from'; args[#args + 1] = SAMPLES .. sample end
  if dir then args[#args + 1] = '--set'; args[#args + 1] = 'dir=' .. dir end
  return h.run(args)
end

local function json_summary(r)
  return h.decode(r.err:match '([^\n]*"counters"[^\n]*)')
end

describe('scripts/examples', function()
  it('clean.lua checks, filters, hides and renames', function()
    local r = example('clean.lua', 'payments.ndjson', nil, '--json')
    assert.equal(0, r.code)
    assert.equal(normal(python([[
cent = Decimal("0.01")
for line in sys.stdin:
  e = json.loads(line)
  if e["status"] != "settled" or isinstance(e["amt"], str): continue
  row = {k: v for k, v in e.items() if k not in ("pan", "holder", "status", "at", "amt")}
  row["card"] = e["pan"][:6] + "…" + e["pan"][-4:]
  row["ts"] = e["at"]
  amount, fee = e["amt"], Decimal(e["amt"] * 0.015).quantize(cent, ROUND_HALF_EVEN)
  print(json.dumps(row)[:-1] + ', "amount": %.2f, "fee": %s}' % (amount, fee))
]], 'payments.ndjson')), normal(r.out))
    assert.equal(1, json_summary(r).counters.events_failed)
    assert.matches("clean.lua:%d+: field 'amt' is declared decimal%(2%), found 'free'", r.err)
    assert.is_nil(r.out:find('4567899', 1, true))
  end)

  it('route.lua sends each record to the first that fits, byte for byte', function()
    local dir = h.folder()
    local r = example('route.lua', 'log.ndjson', dir)
    assert.equal(0, r.code)
    assert.equal('', r.out)
    assert.equal(jq('select(.level == "error" or .level == "fatal")', 'log.ndjson'), h.read(dir .. '/grave.ndjson'))
    assert.equal(jq('select(.level == "warning")', 'log.ndjson'), h.read(dir .. '/warnings.ndjson'))
    assert.equal(jq('select([.level] | inside(["error", "fatal", "warning", "debug"]) | not)', 'log.ndjson'),
      h.read(dir .. '/rest.ndjson'))
  end)

  it('archive.lua sorts records into compressed files by service and level', function()
    local dir = h.folder()
    local r = example('archive.lua', 'log.ndjson', dir)
    assert.equal(0, r.code, r.err)
    local names = h.lines(h.shell('cd ' .. dir .. '/archive && find . -type f | LC_ALL=C sort').out)
    -- a record without a level goes to %null
    local want = jq('select(.level != "debug") | "./" + .service + "/" + (.level // "%null") + "-000001.ndjson.gz"', 'log.ndjson')
    assert.equal(h.shell("tr -d '\"' | LC_ALL=C sort -u", want).out, table.concat(names, '\n') .. '\n')
    for _, name in ipairs(names) do
      local service, level = name:match '^%./(.*)/(.*)%-000001'
      assert.equal(jq(('select(.service == "%s" and (.level // "%%null") == "%s")'):format(service, level), 'log.ndjson'),
        h.shell(('gzip -dc %s/archive/%s'):format(dir, h.quote(name))).out, name)
    end
  end)

  it('order_lines.lua makes a row a line', function()
    local r = example('order_lines.lua', 'orders.ndjson')
    assert.equal(0, r.code)
    assert.equal(normal(jq('. as $o | (.items // []) | to_entries[] | {order: $o.id, line: (.key + 1), sku: .value.sku, ' ..
      'qty: .value.qty, total: (.value.qty * .value.price)} + (.value | if has("gift") then {gift} else {} end)',
      'orders.ndjson')), normal(r.out))
  end)

  it('sensors.lua raises alerts in every branch and keeps dead letters', function()
    local dir = h.folder()
    local r = example('sensors.lua', 'readings.ndjson', dir)
    assert.equal(0, r.code)
    local judge = [[
for number, line in enumerate(sys.stdin, 1):
  try: e = json.loads(line)
  except ValueError: bad(number, line.rstrip("\n"), "syntax"); continue
  if isinstance(e.get("celsius"), str): bad(number, e, "type")
  elif "celsius" not in e: bad(number, e, "lua")
  else:
    for what, holds in ("dry", e["humidity"] < 20), ("frost", e["celsius"] < -10), ("hot", e["celsius"] >= 60):
      if holds: alert({"alert": what, **e})
]]
    assert.equal(normal(python([[
def bad(number, event, code): pass
def alert(row): print(json.dumps(row))
]] .. judge, 'readings.ndjson')), normal(r.out))
    local letters = h.rows(h.read(dir .. '/sensors.bad.ndjson'))
    local expected = h.rows(python([[
def alert(row): pass
def bad(number, event, code):
  print(json.dumps({"code": code, "event": event, "pipeline": "readings",
    "position": "scripts/examples/data/readings.ndjson:%d" % number}))
]] .. judge, 'readings.ndjson'))
    assert.equal(#expected, #letters)
    for i, letter in ipairs(letters) do
      for name, value in pairs(expected[i]) do assert.same(value, letter[name]) end
    end
    assert.equal('no temperature', letters[3].reason)
    assert.matches('^scripts/examples/sensors.lua:%d+$', letters[3].at)
  end)

  it('sensors.lua takes its threshold from --set', function()
    local r = example('sensors.lua', 'readings.ndjson', h.folder(), '--set', 'hot_at=100')
    local hot = {}
    for _, row in ipairs(h.rows(r.out)) do if row.alert == 'hot' then hot[#hot + 1] = row.sensor end end
    assert.same({ 'oven' }, hot)
  end)

  it('requests.lua feeds one pipeline by another', function()
    local dir = h.folder()
    local r = example('requests.lua', 'requests.ndjson', dir)
    assert.equal(0, r.code)
    local clean = 'select(.path != "/health") | (.path | split("?")) as $p | .path = $p[0] | ' ..
      'if $p[1] then .query = $p[1] else . end'
    assert.equal(jq(clean, 'requests.ndjson'), h.read(dir .. '/requests.ndjson'))
    assert.equal(jq(clean .. ' | select(.status >= 500 or .ms > 1000) | ' ..
      '{why: (if .status >= 500 then "failed" else "slow" end), path, status, ms}', 'requests.ndjson'), r.out)
  end)

  it('merge.lua makes one stream of two files', function()
    local r = example 'merge.lua'
    assert.equal(0, r.code)
    assert.equal(jq('{id: .ref, account: .iban, euros: (.cents / 100)} | select(.euros >= 40 or .euros <= -40)', 'bank_a.ndjson') ..
      jq('{id: "B-\\(.txid)", account, euros: .value} | select(.euros >= 40 or .euros <= -40)', 'bank_b.ndjson'), r.out)
  end)

  it('ledger.lua keeps every digit', function()
    local r = example('ledger.lua', 'ledger.ndjson', nil, '--json')
    assert.equal(0, r.code)
    assert.equal(normal(python([[
for line in sys.stdin:
  e = json.loads(line, parse_float=str)
  if not -2**63 <= e["id"] < 2**63 or len(e["amount"].split(".")[1]) > 2 or e["id"] <= 0: continue
  net = Decimal(float(e["amount"]) / 1.19).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
  row = {"id": e["id"], "account": e["account"], "booked": e["booked"], "shard": e["id"] % 16}
  if e["id"] < 2**63 - 1: row["following"] = e["id"] + 1
  print(json.dumps(row)[:-1] + ', "amount": %s, "net": %s}' % (e["amount"], net))
]], 'ledger.ndjson')), normal(r.out))
    assert.equal(2, json_summary(r).counters.events_failed)
  end)

  it('totals_per_card.lua sums by card and tells of large payments at new merchants', function()
    local dir = h.folder()
    local r = example('totals_per_card.lua', 'card_payments.ndjson', dir, '--json')
    assert.equal(0, r.code)
    local judge = [[
cards = {}
for line in sys.stdin:
  e = json.loads(line, parse_float=Decimal)
  if "card" not in e or isinstance(e["amount"], str): continue
  payments = cards.setdefault(e["card"], [])
  new = e["merchant"] not in [p["merchant"] for p in payments]
  payments.append(e)
  if new and e["amount"] >= 100: alert(e, len({p["merchant"] for p in payments}))
def row(fields, **numbers):
  print(json.dumps(fields)[:-1] + "".join(', "%s": %s' % n for n in numbers.items()) + "}")
]]
    assert.equal(normal(python('alerts = []\ndef alert(*a): alerts.append(a)\n' .. judge .. [[
for e, n in alerts: row({"card": e["card"], "merchant": e["merchant"]}, amount=e["amount"], merchants=n)
]], 'card_payments.ndjson')), normal(r.out))
    assert.equal(normal(python('def alert(*a): pass\n' .. judge .. [[
def plain(d): return "{:f}".format(d.normalize())
for card, p in cards.items():
  amounts = [e["amount"] for e in p]
  row({"card": card, "last_at": p[-1]["merchant"]}, payments=len(p), spent=plain(sum(amounts)), largest=plain(max(amounts)))
]], 'card_payments.ndjson')), normal(h.read(dir .. '/totals.ndjson')))
    assert.equal(2, json_summary(r).counters.events_failed)
  end)

  it('deliveries.lua drops what comes again within a day', function()
    local r = example('deliveries.lua', 'deliveries.ndjson', nil, '--json')
    assert.equal(0, r.code)
    assert.equal(python([[
from datetime import datetime, timedelta
passed = {}
for line in sys.stdin:
  e = json.loads(line)
  if e["at"] == "yesterday": continue
  key, at = (e["sender"], e["id"]), datetime.fromisoformat(e["at"].replace("Z", "+00:00"))
  if key in passed and at - passed[key] < timedelta(days=1): continue
  passed[key] = at
  sys.stdout.write(line)
]], 'deliveries.ndjson'), r.out)
    assert.equal(1, json_summary(r).counters.events_failed)
    assert.matches("deliveries.lua:%d+: field 'at' is declared event_time 'iso8601', found 'yesterday'", r.err)
  end)

  it('enrich.lua finds the terms that held when something was bought', function()
    local r = example('enrich.lua', 'purchases.ndjson')
    assert.equal(0, r.code, r.err)
    assert.equal(normal(python([[
import csv, datetime
def ms(s): return datetime.datetime.fromisoformat(s.replace("Z", "+00:00"))
folder = "scripts/examples/data/"
terms = list(csv.DictReader(open(folder + "customers.csv")))
countries = {row["code"]: row for row in csv.DictReader(open(folder + "countries.csv"))}
for line in sys.stdin:
  e = json.loads(line)
  country = countries.get(e["country"])
  if not country: continue
  held = [t for t in terms if t["id"] == e.get("customer") and ms(t["since"]) <= ms(e["at"])]
  tier = max(held, key=lambda t: ms(t["since"]))["tier"] if held else ""
  net = e["cents"] - e["cents"] * {"gold": 10, "silver": 5}.get(tier, 0) // 100
  print(json.dumps({"purchase": e["purchase"], "country": country["name"], "tier": tier or "none", "net": net,
    "vat": int(net * Decimal(country["vat"]) / 100)}))
]], 'purchases.ndjson')), normal(r.out))
    assert.equal(6, json_summary(example('enrich.lua', 'purchases.ndjson', nil, '--json')).counters.lookups_missed)
  end)

  it('best_sellers.lua ranks the sales of each shop', function()
    local r = example('best_sellers.lua', 'sales.ndjson')
    assert.equal(0, r.code, r.err)
    assert.equal(normal(python([[
shops = {}
for line in sys.stdin:
  e = json.loads(line, parse_float=str)
  if "amount" in e: shops.setdefault(e["shop"], []).append(e)
for shop, sales in shops.items():
  sales.sort(key=lambda e: (-float(e["amount"]), e["at"]))
  for rank, e in enumerate(sales[:3], 1):
    print(json.dumps({"shop": shop, "rank": rank, "article": e["article"]})[:-1] + ', "amount": %s}' % e["amount"])
]], 'sales.ndjson')), normal(r.out))
  end)

  it('takings.lua sums up the sales of a shop by quarters of an hour, and once more when one comes late', function()
    local dir = h.folder()
    local r = example('takings.lua', 'sales.ndjson', dir)
    assert.equal(0, r.code, r.err)
    local last, rows = {}, 0
    for _, row in ipairs(h.rows(r.out)) do
      last[row.shop .. ' ' .. row.at], rows = row, rows + 1
      row.revision = nil
    end
    local n = 0
    for _, want in ipairs(h.rows(python([[
import datetime
quarters, youngest = {}, 0
for line in sys.stdin:
  try: e = json.loads(line)
  except ValueError: continue
  if not isinstance(e, dict): continue
  at = datetime.datetime.fromtimestamp(e["at"] // 900 * 900, datetime.timezone.utc).strftime("%H:%M")
  too_late = e["at"] // 900 * 900 + 900 + 900 <= youngest - 60
  youngest = max(youngest, e["at"])
  if not too_late: quarters.setdefault((e["shop"], at), []).append(e)
for (shop, at), sales in quarters.items():
  amounts = [Decimal(str(e["amount"])) for e in sales if "amount" in e]
  print(json.dumps({"shop": shop, "at": at, "sales": len(sales), "taken": float(sum(amounts)), "largest": float(max(amounts)),
    "sold": len({e["article"] for e in sales})}))
]], 'sales.ndjson'))) do
      assert.same(want, last[want.shop .. ' ' .. want.at])
      n = n + 1
    end
    assert.same({ 9, 10 }, { n, rows })
    assert.equal('{"at":1774735350,"shop":"Kiel","article":"pot","amount":9.90}\n', h.read(dir .. '/late.ndjson'))
  end)

  it('sales_db.lua keeps sales, and what each shop takes, in tables', function()
    local dir = h.folder()
    local r = example('sales_db.lua', 'sales.ndjson', dir)
    assert.equal('', r.out)
    local function of(sql) return h.sh('sqlite3 -readonly %s/sales.db %s', dir, h.quote(sql)) end
    local want = h.lines(python([[
import datetime
quarters, youngest, sold = {}, 0, 0
for line in sys.stdin:
  try: e = json.loads(line, parse_float=Decimal)
  except ValueError: continue
  if not isinstance(e, dict) or not isinstance(e.get("amount", Decimal(0)), (Decimal, int)): continue
  sold += 1
  too_late = e["at"] // 900 * 900 + 900 + 900 <= youngest - 60
  youngest = max(youngest, e["at"])
  if not too_late: quarters.setdefault((e["shop"], e["at"] // 900 * 900), []).append(e)
print(sold)
for (shop, at), sales in sorted(quarters.items()):
  start = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
  print(shop, start, len(sales), int(sum(e.get("amount", 0) for e in sales) * 100), sep="|")
]], 'sales.ndjson'))
    assert.equal(table.remove(want, 1) .. '\n', of 'SELECT count(*) FROM sales')
    assert.equal(table.concat(want, '\n') .. '\n',
      of 'SELECT shop, quarter, sales, CAST(round(taken * 100) AS INTEGER) FROM takings ORDER BY shop, quarter')
  end)

  it('sessions.lua cuts the clicks of a visitor at gaps', function()
    local r = example('sessions.lua', 'clicks.ndjson')
    assert.equal(0, r.code, r.err)
    assert.equal(normal(python([[
visits = {}
for line in sys.stdin:
  e = json.loads(line)
  mine = visits.setdefault(e["visitor"], [])
  gap = {"phone": 300, "desktop": 1800}.get(e["device"], 900)
  if not mine or e["ts"] - mine[-1][-1]["ts"] > gap: mine.append([])
  mine[-1].append(e)
rows = [(v[0]["ts"], {"visitor": who, "visit": n, "pages": len(v), "from": v[0]["ts"], "to": v[-1]["ts"], "left_at": v[-1]["page"]})
  for who, mine in visits.items() for n, v in enumerate(mine, 1)]
for _, row in sorted(rows, key=lambda x: x[0]): print(json.dumps(row))
]], 'clicks.ndjson')), normal(r.out))
  end)

  it('funnel.lua counts how far visitors got', function()
    local r = example('funnel.lua', 'clicks.ndjson')
    assert.equal(0, r.code, r.err)
    assert.equal(normal(python([[
clicks = {}
for line in sys.stdin:
  e = json.loads(line)
  clicks.setdefault(e["visitor"], []).append(e["page"])
for n, step in enumerate(["product", "cart", "checkout", "paid"], 1):
  got = 0
  for pages in clicks.values():
    it = iter(pages)
    got += all(want in it for want in ["product", "cart", "checkout", "paid"][:n])
  if got: print(json.dumps({"step": n, "page": step, "visitors": got}))
]], 'clicks.ndjson')), normal(r.out))
  end)

  it('uncaptured.lua tells which payments were not captured in time', function()
    local r = example('uncaptured.lua', 'captures.ndjson')
    assert.equal(0, r.code, r.err)
    assert.equal(normal(python([[
events = [json.loads(line) for line in sys.stdin]
taken = [e for e in events if e["type"] == "capture"]
for e in sorted((e for e in events if e["type"] == "auth"), key=lambda e: e["ts"]):
  if not any(c["auth"] == e["auth"] and 0 <= c["ts"] - e["ts"] <= 900 for c in taken):
    print(json.dumps({"auth": e["auth"], "card": e["card"], "amount": e["amount"], "since": e["ts"], "missing_at": e["ts"] + 900}))
]], 'captures.ndjson')), normal(r.out))
    assert.equal(3, #h.lines(r.out))
  end)

  it('card_testing.lua finds cards that are tried out, and what was not paid', function()
    local r = example('card_testing.lua', 'card_testing.ndjson')
    assert.equal(0, r.code, r.err)
    local lines = h.lines(r.out)
    table.sort(lines)
    local want = h.lines(python([[
events = sorted((json.loads(line) for line in sys.stdin), key=lambda e: e["ts"])
for e in events:
  after = [p for p in events if p["type"] == "payment" and 0 < p["ts"] - e["ts"] < 3600]
  if e["type"] == "order" and not any(p.get("order") == e["order"] for p in after):
    print(json.dumps({"alert": "unpaid", "at": e["ts"], "card": e["card"], "order": e["order"]}, separators=(",", ":")))
  tries = [p for p in events if p["card"] == e["card"] and p["type"] == "payment" and p["amount"] < 2 and 0 < e["ts"] - p["ts"] < 600]
  if e["type"] == "payment" and len(tries) >= 3 and e["amount"] > 50 * tries[0]["amount"]:
    row = {"alert": "card_testing", "amount": int(e["amount"]), "at": e["ts"], "card": e["card"], "tries": len(tries)}
    print(json.dumps(row, separators=(",", ":")))
]], 'card_testing.ndjson'))
    table.sort(want)
    assert.same(want, lines)
    assert.equal(3, #lines)
  end)

  it('access_log.lua makes rows of requests and counts their statuses', function()
    local dir = h.folder()
    local r = example('access_log.lua', 'access_log.ndjson', dir)
    assert.equal(0, r.code)
    local judge = [==[
import re, zlib, ipaddress
from datetime import datetime
from urllib.parse import urlsplit, parse_qs
form = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "([A-Z]+) (\S+) [^"]+" (\d{3}) (\d+|-) "[^"]*" "([^"]*)"')
nets = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]
totals, bad = {}, []
for line in sys.stdin:
  line = json.loads(line)["line"]
  m = form.match(line)
  if not m: bad.append(line); continue
  client, time, method, target, status, size, agent = m.groups()
  u, address = urlsplit(target), ipaddress.ip_address(client)
  row = {"time": int(datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").timestamp() * 1000), "client": client,
    "inside": any(address in n for n in nets if n.version == address.version), "method": method, "path": u.path,
    "status": int(status), "bytes": 0 if size == "-" else int(size), "agent": "%08x" % zlib.crc32(agent.encode())}
  if "q" in parse_qs(u.query): row["search"] = parse_qs(u.query)["q"][0]
  t = totals.setdefault(status, {"status": int(status), "n": 0, "bytes": 0})
  t["n"] += 1
  t["bytes"] += row["bytes"]
  requests(row)
]==]
    assert.equal(normal(python('def requests(row): print(json.dumps(row))\n' .. judge, 'access_log.ndjson')), normal(r.out))
    assert.equal(normal(python('def requests(row): pass\n' .. judge .. 'for t in totals.values(): print(json.dumps(t))',
      'access_log.ndjson')),
      normal(h.read(dir .. '/statuses.ndjson')))
    local lines = {}
    for i, letter in ipairs(h.rows(h.read(dir .. '/access_log.bad.ndjson'))) do lines[i] = letter.event.line end
    assert.same(h.decode(python('def requests(row): pass\n' .. judge .. 'print(json.dumps(bad))', 'access_log.ndjson')), lines)
  end)

  it('syslog.lua reads both forms, the examples of both RFCs', function()
    local r = example('syslog.lua', 'syslog.ndjson', nil, '--set', 'zone=Europe/Berlin', '--json')
    assert.equal(0, r.code)
    assert.equal(normal(python([==[
import re
from datetime import datetime
from zoneinfo import ZoneInfo
names = "emerg alert crit err warning notice info debug".split()
for line in sys.stdin:
  line = json.loads(line)["line"]
  row = {}
  m = re.fullmatch(r'<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: (.*))?', line)
  if m:
    pri, time, row["host"], row["app"], row["pid"], row["id"], data, row["text"] = m.groups()
    row["data"] = {k: re.sub(r'\\(["\\\]])', r'\1', v) for k, v in re.findall(r' ([^ ="\]]+)="((?:[^"\\\]]|\\.)*)"', data)} or None
    if time != "-": row["time"] = int(datetime.fromisoformat(time).timestamp() * 1000)
  else:
    m = re.fullmatch(r'<(\d+)>(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^\s:\[]+)(?:\[(\d+)\])?: ?(.*)', line)
    if not m: continue
    pri, time, row["host"], row["app"], row["pid"], row["text"] = m.groups()
    row["time"] = int(datetime.strptime("2024 " + time, "%Y %b %d %H:%M:%S").replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
  row["facility"], row["severity"] = int(pri) // 8, names[int(pri) % 8]
  print(json.dumps({k: v for k, v in row.items() if v not in (None, "-")}))
]==], 'syslog.ndjson')), normal(r.out))
    assert.equal(1, json_summary(r).counters.events_failed)
  end)

  it('stack_traces.lua makes a row of each entry, and counts what was thrown where', function()
    local dir = h.folder()
    local r = example('stack_traces.lua', nil, dir)
    assert.equal(0, r.code)
    local judge = [==[
import re
from datetime import datetime, timezone
text, rows, failures, rest = sys.stdin.read(), [], {}, ""
form = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) (\w+) +\[[^]]+\] (\S+) - (.*)")
for part in re.split(r"\n(?=\d{4}-\d\d-\d\d )", text):
  lines = part.split("\n")
  m = form.match(lines[0])
  if not m: rest = part; continue
  time = datetime.strptime(m[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
  row = {"time": int(time.timestamp()) * 1000 + int(m[2]), "level": m[3], "logger": m[4], "message": m[5]}
  at = [i for i, line in enumerate(lines) if line.startswith("\tat ")]
  if at:
    row["thrown"], row["frame"], row["frames"] = lines[at[0] - 1].split(":")[0], lines[at[0]][4:], len(at)
    f = failures.setdefault((row["thrown"], row["frame"]), {"thrown": row["thrown"], "frame": row["frame"], "n": 0})
    f["n"] += 1
    f["last"] = row["message"]
  rows.append(row)
]==]
    assert.equal(normal(python(judge .. 'for row in rows: print(json.dumps(row))', 'app.log')), normal(r.out))
    assert.equal(normal(python(judge .. 'for f in failures.values(): print(json.dumps(f))', 'app.log')),
      normal(h.read(dir .. '/failures.ndjson')))
    local letter = h.rows(h.read(dir .. '/app_log.bad.ndjson'))[1]
    assert.equal(h.decode(python(judge .. 'print(json.dumps(rest))', 'app.log')), letter.event.line)
  end)

  it('each passes check without a word about what it does wrong', function()
    local listed = h.shell 'ls scripts/examples/*.lua | grep -v -e /cards.lua -e _spec.lua'
    for _, path in ipairs(h.lines(listed.out)) do
      local r = h.run { 'check', path }
      assert.equal(0, r.code, path .. ': ' .. r.err)
    end
  end)
end)

describe('scripts/examples/demo.lua', function()
  local COUNT = 40000
  local first

  local function demo(...)
    return h.run { 'run', 'scripts/examples/demo.lua', '--json', '--set', 'events=' .. COUNT, ... }
  end

  setup(function() first = demo() end)

  it('ends by itself, with alerts and without failures', function()
    assert.equal(0, first.code)
    local counters = json_summary(first).counters
    assert.equal(COUNT, counters.events_in)
    assert.equal(0, counters.events_failed)
    local alerts = h.rows(first.out)
    assert.is_true(#alerts >= 2 and #alerts <= 30)
    for _, row in ipairs(alerts) do
      assert.is_true(row.risk >= 100)
      assert.is_true(#row.why > 0)
    end
  end)

  it('gives the same alerts for the same seed, compiled or not, and others for another', function()
    assert.equal(first.out, demo('--no-jit').out)
    assert.not_equal(first.out, demo('--set', 'seed=2').out)
  end)

  it('judges as the slow reference does', function()
    local script = h.folder {
      ['cards.lua'] = h.read 'scripts/examples/cards.lua',
      ['raw.lua'] = ([[
local tm, cards = require 'tidemill', require 'cards'
return tm.pipeline 'raw':from(cards.source { count = %d }):to(tm.sink.stdout())
]]):format(COUNT),
    }
    local raw = h.run { 'run', '--quiet', script .. '/raw.lua' }
    local expected = h.shell('python3 ' .. h.quote(h.write [==[
import json, math, sys
rates = dict(EUR=1, GBP=1.15, USD=.92, PLN=.23, CHF=1.05, SEK=.088, BRL=.17)
places = [("DE", 26, 51.1, 10.4, 1), ("FR", 22, 46.6, 2.4, 1), ("GB", 21, 52.5, -1.5, 0), ("US", 12, 39.8, -86, -5),
  ("PL", 7, 52.1, 19.4, 1), ("CH", 6, 46.8, 8.2, 1), ("SE", 4, 59.6, 15.8, 1), ("BR", 2, -22, -46, -3)]
homes = [p for p in places for _ in range(p[1])]
zone = {p[0]: p[4] for p in places}
cards = {}
for line in sys.stdin:
  e = json.loads(line)
  if e["status"] != "authorized": continue
  eur = math.floor(e["amount"] * rates[e["currency"]] * 100 + .5) / 100
  home = homes[int(e["card"][-2:])]
  a, b, c, d = map(math.radians, (e["lat"], e["lon"], home[2], home[3]))
  # spherical law of cosines: another formula for the same distance
  cosine = math.sin(a) * math.sin(c) + math.cos(a) * math.cos(c) * math.cos(b - d)
  km = 6371 * math.acos(max(-1, min(1, cosine)))
  hour = (e["ts"] // 3600000 + zone[e["country"]]) % 24
  risk = (60 if eur > 1500 else 30 if eur > 500 else 0) + (40 if km > 2500 and eur > 100 and e["channel"] != "ecom" else 0) \
    + (20 if e["mcc"] in (6011, 7995) else 0) + (10 if hour >= 23 or hour < 6 else 0)
  s = cards.setdefault(e["card"], dict(n=0, spent=0.0, times=[], merchants=[]))
  usual = s["spent"] / s["n"] if s["n"] else 0
  s["n"] += 1
  s["spent"] += eur
  s["times"] = (s["times"] + [e["ts"]])[-10:]
  new = e["merchant"] not in s["merchants"]
  if new: s["merchants"] = (s["merchants"] + [e["merchant"]])[-50:]
  risk += (20 if new and s["n"] > 5 and eur > 300 else 0) + (30 if s["n"] > 5 and eur > 10 * usual else 0) \
    + (20 if len(s["times"]) == 10 and e["ts"] - s["times"][0] < 60000 and eur > 300 else 0)
  if risk >= 100: print(e["card"], risk, "%.2f" % eur, s["n"], "%.2f" % s["spent"])
]==]), raw.out)
    local got = {}
    for i, row in ipairs(h.rows(first.out)) do
      got[i] = ('%s %d %.2f %d %.2f\n'):format(row.card, row.risk, row.eur, row.nth, row.spent)
    end
    assert.equal(expected.out, table.concat(got))
  end)
end)

describe('scripts/examples/fluent.lua', function()
  it('reads what Fluent Bit forwards, and counts its levels by minute', function()
    local dir = h.folder {}
    local r = h.run { 'run', '--quiet', 'scripts/examples/fluent.lua', '--set', 'dir=' .. dir }
    assert.equal(0, r.code, r.err)
    -- the generator knows what it packed
    local packer = h.python
    assert.equal(h.read(SAMPLES .. 'fluent.msgpack'), h.sh('%s %sfluent.py', packer, SAMPLES))
    local judge = h.write [==[
import collections, datetime, json, sys
counts = collections.Counter()
for line in sys.stdin:
  e = json.loads(line)
  at = datetime.datetime.fromtimestamp(e.pop("seconds"), datetime.timezone.utc)
  row = {"date": at.strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % e.pop("ns"), **{k: v for k, v in e.items() if v is not None}}
  row.setdefault("level", "unknown")
  counts[at.strftime("%H:%M"), row["level"]] += 1
  if sys.argv[1] == "rows": print(json.dumps(row))
if sys.argv[1] == "levels":
  for (minute, level), n in counts.items():
    print(json.dumps({"minute": minute, "level": level, "n": n}))
]==]
    local function want(what) return normal(h.sh('%s %sfluent.py --json | python3 %s %s', packer, SAMPLES, judge, what)) end
    assert.equal(want 'rows', normal(r.out))
    assert.equal(want 'levels', normal(h.read(dir .. '/levels.ndjson')))
  end)
end)

describe('scripts/examples/statement.lua', function()
  it('trims, masks and types a CSV, and leaves out what is broken', function()
    local r = example('statement.lua', 'statement.csv', nil, '--out-format', 'csv', '--json')
    assert.equal(0, r.code)
    local c = json_summary(r).counters
    assert.same({ 5, 2, 3 }, { c.rows_out, c.lines_bad, c.events_failed })   -- bad lines are failed events too
    -- the lines that are none are taken out by hand: Python's module would read on to the next quote
    local rows = h.shell("python3 " .. h.quote(h.write [==[
import csv, io, sys
from decimal import Decimal, ROUND_HALF_EVEN
text = "".join(l for l in open(sys.argv[1], encoding="utf-8-sig", newline="") if "Unclosed" not in l and "too many" not in l)
out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["booked", "holder", "card", "amount", "fee", "note"])
for e in csv.DictReader(io.StringIO(text, newline="")):
  if e["amount"] == "free": continue
  fee = e["amount"] and (Decimal(e["amount"]) * Decimal("0.015")).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
  out.writerow([e["booked"], e["holder"].strip(), "…" + e["card"][-4:], e["amount"], fee, e["note"]])
]==]) .. ' ' .. SAMPLES .. 'statement.csv')
    assert.equal('', rows.err)
    assert.equal(rows.out, r.out)
  end)
end)

describe('scripts/examples/cards.lua', function()
  it('has the distributions it promises', function()
    local dir = h.folder {
      ['cards.lua'] = h.read 'scripts/examples/cards.lua',
      ['raw.lua'] = "local tm, cards = require 'tidemill', require 'cards'\n" ..
        "return tm.pipeline 'raw':from(cards.source { count = 60000, seed = 3 }):to(tm.sink.stdout())\n",
    }
    local raw = h.run { 'run', '--quiet', dir .. '/raw.lua' }
    local found = h.decode(h.shell('python3 ' .. h.quote(h.write [==[
import json, math, sys
rows = [json.loads(line) for line in sys.stdin]
n = len(rows)
logs = [math.log(r["amount"]) for r in rows]
mean = sum(logs) / n
uses = {}
for r in rows: uses[r["card"]] = uses.get(r["card"], 0) + 1
weights = [k ** -0.8 for k in range(1, 100001)]
total = sum(weights)
late = [1700000040000 + i - r["ts"] for i, r in enumerate(rows)]
print(json.dumps({"n": n, "fields": sorted({len(r) for r in rows}), "mu": mean,
  "sigma": math.sqrt(sum((x - mean) ** 2 for x in logs) / n), "least": min(r["amount"] for r in rows),
  "over_100": sum(r["amount"] > 100 for r in rows) / n, "late": sum(x > 0 for x in late) / n, "latest": max(late),
  "ahead": min(late), "top": sum(sorted(uses.values(), reverse=True)[:10]) / n, "top_law": sum(weights[:10]) / total,
  "distinct_law": sum(1 - (1 - w / total) ** n for w in weights), "distinct": len(uses)}))
]==]), raw.out).out)
    assert.equal(60000, found.n)
    assert.same({ 13 }, found.fields)
    assert.near(3.6, found.mu, 0.02)
    assert.near(1.1, found.sigma, 0.02)
    assert.is_true(found.least >= 0.5)
    assert.near(0.18, found.over_100, 0.01)
    assert.near(0.30, found.late, 0.01)
    assert.is_true(found.latest <= 4999 and found.latest > 4900 and found.ahead == 0)
    assert.near(found.top_law, found.top, 0.1 * found.top_law)
    assert.near(found.distinct_law, found.distinct, 0.02 * found.distinct_law)
  end)
end)
