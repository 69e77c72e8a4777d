"""state_ttl_reference.py - elements of containers with a ttl, the slow and obvious way: each is (value, time), and before each function is
called those are left out whose time + ttl the watermark has reached. It knows the rules of state_ttl_spec's script.

Reads {"out_of_order", "ttl", "max", "key_ttl"} from the file named, events from stdin; rows go to stdout. An event that fails, and a timer
that does, is taken back by putting a copy of the state back."""
import copy
import json
import sys

spec = json.load(open(sys.argv[1]))
TTL, MAX, KEY_TTL = spec["ttl"], spec["max"], spec["key_ttl"]
world, highest, rows = {"keys": {}, "timers": [], "seq": 0}, None, []


def fresh(time):
    return {"set": [], "map": [], "list": [], "used": time}


def age(s, w):
    """What is over at w goes."""
    for name in "set", "map", "list":
        s[name] = [x for x in s[name] if x[-1] + TTL > w]


def put(items, x, time, value=None):
    """Into a set or map, a list of [key, value, time] in order of writing: was it new?"""
    old = next((i for i in items if i[0] == x), None)
    if old and old[2] >= time:
        old[1] = value
        return False
    if old:
        items.remove(old)
    elif len(items) == MAX:
        items.pop(0)
    items.append([x, value, time])
    return old is None


def apply(s, op, time):
    kind, x = op["op"], op.get("x")
    if kind == "add":
        return put(s["set"], x, time)
    if kind == "remove":
        had = any(i[0] == x for i in s["set"])
        s["set"] = [i for i in s["set"] if i[0] != x]
        return had
    if kind == "put":
        put(s["map"], x, time, op["v"])
        return None
    if kind == "unset":
        had = any(i[0] == x for i in s["map"])
        s["map"] = [i for i in s["map"] if i[0] != x]
        return had
    if kind == "push":
        if len(s["list"]) == MAX:
            s["list"].pop(0)
        s["list"].append([x, time])
        return None
    if kind == "at":
        i = op["i"]
        if i <= len(s["list"]):
            s["list"][i - 1] = [x, max(time, s["list"][i - 1][1])]
        return None
    if kind in ("pop", "shift"):
        if not s["list"]:
            return None
        return s["list"].pop(-1 if kind == "pop" else 0)[0]
    if kind == "empty":
        s["set"], s["map"], s["list"] = [], [], []
    return None


def shown(s):
    return {"set": [i[0] for i in s["set"]], "map": ["%s=%s" % (i[0], i[1]) for i in s["map"]], "list": [i[0] for i in s["list"]],
            "sizes": [len(s["set"]), len(s["map"]), len(s["list"])]}


def emit(row):
    rows.append(json.dumps({k: v for k, v in row.items() if v is not None}, sort_keys=True, separators=(",", ":")))


def event(e, w):
    s = world["keys"].setdefault(e["k"], fresh(e["t"]))
    s["used"] = max(s["used"], e["t"])
    age(s, w)
    for op in e["ops"]:
        r = apply(s, op, e["t"])
        if op["op"] == "timer":
            world["seq"] += 1
            old = [t for t in world["timers"] if t[2] == e["k"]]
            if not (old and old[0][0] == e["t"] + op["x"]):
                world["timers"] = [t for t in world["timers"] if t[2] != e["k"]] + [[e["t"] + op["x"], world["seq"], e["k"]]]
        if r is not None:
            emit({"k": e["k"], "r": r})
    if e["fail"]:
        raise ValueError
    emit(dict(shown(s), k=e["k"], t=e["t"]))


def timer(at, k, w):
    s = world["keys"][k]
    age(s, max(w, at - 1))
    s["used"] = max(s["used"], at)
    put(s["set"], "timer", at)
    s["list"] = s["list"][-(MAX - 1):] if MAX > 1 else []
    s["list"].append(["timer", at])
    if at % 7 == 0:
        raise ValueError
    emit(dict(shown(s), k=k, timer=at))


def attempt(do):
    global world
    before, n = copy.deepcopy(world), len(rows)
    try:
        do()
    except ValueError:
        world = before
        del rows[n:]


def expire(k, at, w):
    s = world["keys"][k]
    age(s, max(w, at - 1))
    emit(dict(shown(s), k=k, old=at))


def pass_watermark(w, before):
    while True:
        due = sorted(t for t in world["timers"] if t[0] <= w)
        old = sorted((s["used"] + KEY_TTL, k) for k, s in world["keys"].items() if KEY_TTL and s["used"] + KEY_TTL <= w)
        if due and not (old and old[0][0] < due[0][0]):
            world["timers"].remove(due[0])
            attempt(lambda: timer(due[0][0], due[0][2], before))
        elif old:
            attempt(lambda: expire(old[0][1], old[0][0], before))
            del world["keys"][old[0][1]]
            world["timers"] = [t for t in world["timers"] if t[2] != old[0][1]]
        else:
            return


INF = float("inf")
for line in sys.stdin:
    e = json.loads(line, parse_float=lambda s: int(float(s)))
    before = -INF if highest is None else highest - spec["out_of_order"] - 1
    highest = e["t"] if highest is None else max(highest, e["t"])
    attempt(lambda: event(e, before))
    pass_watermark(highest - spec["out_of_order"] - 1, before)
pass_watermark(INF, highest - spec["out_of_order"] - 1)
print("\n".join(rows))
