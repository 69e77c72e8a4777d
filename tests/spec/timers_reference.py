"""timers_reference.py - two `process` steps with timers, the slow and obvious way: a list of timers, sorted anew for each, and all of
the state copied before each event and each timer, put back when it fails. It knows the rules of timers_spec's script.

With "ttl" (ms, else null) a key of the first step goes when nothing came to it for so long. Each key is armed once; when its time comes up
it is armed again if something came since, which decides the order of equal times.

Reads {"out_of_order", "max_keys", "ttl", "letters": file} from the file named, events from stdin; rows go to stdout, dead letters as
[code, key, timer] lines to `letters`, the number of dropped timers as its last line."""
import copy
import json
import sys

spec = json.load(open(sys.argv[1]))
END = float("inf")


class Failed(Exception):
    pass


class Step:
    def __init__(self, max_keys, ttl=None):
        self.max_keys, self.ttl, self.records, self.timers, self.seq = max_keys, ttl, {}, [], 0

    def record(self, key, time):
        """The key's record, now the one written last; is it new?"""
        new = key not in self.records
        if new and len(self.records) >= self.max_keys:
            gone = next(iter(self.records))
            del self.records[gone]
            self.timers = [t for t in self.timers if t["key"] != gone]
        s = self.records[key] = self.records.pop(key, None) or {"n": 0, "written": time}
        s["written"] = max(s["written"], time)
        if new:
            self.arm(s)
        return s, new

    def arm(self, s):
        if self.ttl:
            self.seq += 1
            s["armed"] = (s["written"] + self.ttl, self.seq)

    def set(self, key, name, time):
        old = [t for t in self.timers if (t["key"], t["name"]) == (key, name)]
        if old and old[0]["time"] == time:
            return
        self.timers = [t for t in self.timers if t not in old]
        self.seq += 1
        self.timers.append({"key": key, "name": name, "time": time, "seq": self.seq})

    def cancel(self, key, name):
        before = len(self.timers)
        self.timers = [t for t in self.timers if (t["key"], t["name"]) != (key, name)]
        return len(self.timers) < before

    def clear(self, key):
        self.records.pop(key, None)
        self.timers = [t for t in self.timers if t["key"] != key]

    def take(self, w):
        while True:
            due = sorted((t for t in self.timers if t["time"] <= w), key=lambda t: (t["time"], t["seq"]))
            old = sorted((s["armed"], key) for key, s in self.records.items() if self.ttl and s["armed"][0] <= w)
            if old and not (due and due[0]["time"] <= old[0][0][0]):
                (time, _), key = old[0]
                s = self.records[key]
                if s["written"] + self.ttl == time:
                    return {"key": key, "name": None, "time": time}
                self.arm(s)
            elif due:
                self.timers.remove(due[0])
                return due[0]
            else:
                return None


class World:
    def __init__(self):
        self.first, self.second = Step(spec["max_keys"], spec["ttl"]), Step(1000)
        self.rows, self.dropped = [], 0


world, letters = World(), []


def shown(w):
    return "end" if w == END else w


def emit(row):
    world.rows.append(json.dumps({k: v for k, v in row.items() if v is not None}, sort_keys=True, separators=(",", ":")))


def second_event(row, key, time, w):
    step = world.second
    s, _ = step.record(key, time)
    s["n"] += 1
    step.set(key, "q%d" % (row["n"] % 2), time + 5)
    if row["n"] % 13 == 0:
        raise Failed
    emit(dict(row, m=s["n"], time=time, w2=shown(w)))


def second_timer(t, w):
    s, _ = world.second.record(t["key"], t["time"])
    emit({"q": t["name"], "k": t["key"], "m": s["n"], "time": t["time"], "w2": shown(w)})


def first_event(e, w):
    step, key, out, cleared = world.first, e["k"], [], False
    s, new = step.record(key, e["t"])
    s["n"] += 1
    for op in e["ops"]:
        if op["op"] == "set":
            step.set(key, op["name"], e["t"] + op["dt"])
        elif op["op"] == "cancel":
            out.append({"what": "cancel", "had": step.cancel(key, op["name"])})
        else:
            cleared = True
            s["n"] = 0
    out.append({"what": "event", "new": new, "w": shown(w)})
    if e["fail"]:
        raise Failed
    n = s["n"]
    if cleared:
        step.clear(key)
    for row in out:
        second_event(dict(row, k=key, n=n), key, e["t"], w)


def first_timer(t, w, w_before, at_end):
    step, key, name, out, cleared = world.first, t["key"], t["name"], [], False
    s, _ = step.record(key, t["time"])
    s["n"] += 1

    def later(name, time):
        if at_end:
            world.dropped += 1
        else:
            step.set(key, name, time)

    if name == "b" and s["n"] % 3 != 0:
        later("b", t["time"] + 7)
    elif name == "c":
        later("a", t["time"])
    elif name == "d":
        cleared, s["n"] = True, 0
    elif name == "e":
        later("a", t["time"] + 2)
        if s["n"] % 2 == 0:
            raise Failed
    elif name == "f":
        out.append({"what": "cancel", "had": step.cancel(key, "a")})
    out.append({"what": name, "w": shown(w)})
    n = s["n"]
    if cleared:
        step.clear(key)
    for row in out:
        second_event(dict(row, k=key, n=n), key, t["time"], w_before)


def first_old(t, w, w_before):
    key = t["key"]
    n = world.first.records[key]["n"]
    second_event({"what": "old", "w": shown(w), "k": key, "n": n}, key, t["time"], w_before)
    if n % 4 == 0:
        raise Failed


def attempt(do, letter):
    global world
    before = copy.deepcopy(world)
    try:
        do()
    except Failed:
        world = before
        letters.append(letter)


def pass_watermark(w, w_before):
    for which in ("first", "second"):
        while True:
            t = getattr(world, which).take(w)
            if t is None:
                break
            if t["name"] is None:
                run = lambda: first_old(t, w, w_before)
            elif which == "first":
                run = lambda: first_timer(t, w, w_before, w == END)
            else:
                run = lambda: second_timer(t, w)
            attempt(run, [t["key"], {"name": t["name"], "time": t["time"]}])
            if t["name"] is None:
                world.first.clear(t["key"])


highest = -END
w = None
for line in sys.stdin:
    e = json.loads(line)
    before = None if highest == -END else highest - spec["out_of_order"] - 1
    highest = max(highest, e["t"])
    if e["keep"]:
        attempt(lambda: first_event(e, before), [e["k"], None])
    pass_watermark(highest - spec["out_of_order"] - 1, before)
pass_watermark(END, None if highest == -END else highest - spec["out_of_order"] - 1)

print("\n".join(world.rows))
with open(spec["letters"], "w") as f:
    for letter in letters:
        f.write(json.dumps(letter, separators=(",", ":")) + "\n")
    f.write("%d\n" % world.dropped)
