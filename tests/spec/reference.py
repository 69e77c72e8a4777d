"""reference.py - chains of steps over random events, done the slow and obvious way.

    python3 reference.py SEED EVENTS FOLDER
    python3 reference.py --strip < ROWS        rows without the white space between tokens

Writes FOLDER/in.ndjson (random events), chain.lua (a random chain of steps) and want.ndjson (what must come out, white
space between tokens left out). An event is a list of members that keep their text until somebody changes them; every
step makes new values. Nothing here is shared with the program under test: parser, rules and number forms are written
from the contract.

Order of members: an event that was read keeps its own order and appends what is new in order of first writing; a row
made in Lua has its keys in byte order; behind select the order of writing. An event that is emitted stays the event it is. A duplicate key
stands at its last one's place once it is written.
"""
import json
import random
import sys


class Fails(Exception):
    """The event fails: it leaves no rows."""


class Raw:
    """A scalar as its text."""
    def __init__(self, text):
        self.text = text


class Arr:
    def __init__(self, items):
        self.items = items


class Obj:
    """members: [key, key's text, value]; kind: 'base', 'sorted' or 'ordered'; order: keys in order of first writing."""
    def __init__(self, members=(), kind='base'):
        self.members, self.kind, self.order, self.text = [list(m) for m in members], kind, [], False

    def get(self, key):
        for k, _, v in reversed(self.members):
            if k == key:
                return v
        return None

    def put(self, key, value):
        if self.text:
            # handed on as text: when it is changed it holds each key once, spelt plainly
            self.members, self.text = [[m[0], quote(m[0]), m[2]] for i, m in enumerate(self.members) if all(m[0] != l[0] for l in self.members[i + 1:])], False
        if key not in self.order:
            self.order.append(key)
        places = [i for i, m in enumerate(self.members) if m[0] == key]
        if places:
            # a member that is removed leaves its place behind, for when it is written again
            self.members[places[-1]][2] = value
            for i in reversed(places[:-1]):
                del self.members[i]
        else:
            self.members.append([key, quote(key), value])
            if self.kind == 'base':
                self.members.sort(key=lambda m: -1 if m[0] in self.at_home else self.order.index(m[0]))
            elif self.kind == 'ordered':
                self.members.sort(key=lambda m: self.order.index(m[0]) if m[0] in self.order else -1)

    def keys(self):
        seen = []
        for i, (k, _, v) in enumerate(self.members):
            if v is not None and all(k != later[0] for later in self.members[i + 1:]):
                seen.append(k)
        if self.kind == 'sorted':
            seen.sort(key=lambda k: k.encode())
        return seen


def quote(text):
    return json.dumps(text, ensure_ascii=False)


def parse(text):
    value, at = parse_value(text, 0)
    assert at == len(text)
    return value


def blank(text, at):
    while at < len(text) and text[at] in ' \t':
        at += 1
    return at


def parse_string(text, at):
    end = at + 1
    while text[end] != '"':
        end += 2 if text[end] == '\\' else 1
    return text[at:end + 1], end + 1


def parse_value(text, at):
    at = blank(text, at)
    c = text[at]
    if c == '{':
        members, at = [], blank(text, at + 1)
        while text[at] != '}':
            key, at = parse_string(text, blank(text, at))
            at = blank(text, at)
            assert text[at] == ':'
            value, at = parse_value(text, at + 1)
            members.append([json.loads(key), key, value])
            at = blank(text, at)
            if text[at] == ',':
                at += 1
        obj = Obj(members)
        obj.at_home = {m[0] for m in members}
        return obj, at + 1
    if c == '[':
        items, at = [], blank(text, at + 1)
        while text[at] != ']':
            value, at = parse_value(text, at)
            items.append(value)
            at = blank(text, at)
            if text[at] == ',':
                at += 1
        return Arr(items), at + 1
    if c == '"':
        token, at = parse_string(text, at)
        return Raw(token), at
    end = at
    while end < len(text) and text[end] not in ',]} \t':
        end += 1
    return Raw(text[at:end]), end


def show(v):
    if isinstance(v, Raw):
        return v.text
    if isinstance(v, Arr):
        return '[' + ','.join(show(i) for i in v.items) + ']'
    members = [m for m in v.members if m[2] is not None]
    if v.kind == 'sorted':
        members = sorted(members, key=lambda m: m[0].encode())
    return '{' + ','.join(t + ':' + show(m) for _, t, m in members) + '}'


def copy(v):
    """The same text again, as a value of its own: what was made in Lua has the order of its text from here on."""
    if isinstance(v, Raw):
        return v
    out = parse(show(v))
    if isinstance(out, Obj):
        out.text = True
    return out


def carry(v):
    """A value that select and rename move: as it was read, or as text if it was changed or made in Lua."""
    return copy(v) if isinstance(v, Obj) and (v.kind != 'base' or v.order) else v


def scalar(v):
    """What Lua reads of a scalar: nil is None."""
    if v is None or v.text == 'null':
        return None
    if v.text[0] == '"' or v.text in ('true', 'false'):
        return json.loads(v.text)
    if float(v.text) in (float('inf'), float('-inf')):
        raise Fails()
    if all(c not in v.text for c in '.eE') and abs(int(v.text)) > 2 ** 53:
        raise Fails()
    return float(v.text)


def write(x):
    """A Lua scalar as JSON."""
    if isinstance(x, str):
        return Raw(quote(x))
    if isinstance(x, bool):
        return Raw('true' if x else 'false')
    if x == int(x) and abs(x) <= 2 ** 53:
        return Raw('-0' if x == 0 and str(x)[0] == '-' else str(int(x)))
    return Raw(repr(x))


def plain(v):
    """A nested value that became a Lua table and is written again."""
    if isinstance(v, Arr):
        return Arr([plain(i) for i in v.items])
    if isinstance(v, Obj):
        return Obj([[k, quote(k), plain(v.get(k))] for k in v.keys()], 'sorted')
    x = scalar(v)
    return Raw('null') if x is None else write(x)


# ---- steps: each is (Lua text, function of (event) -> list of events) ----

NAMES = ['a', 'b', 'c', 'o', 'l', 's', 'n', 'é', 'end', 'k"q', 'z z']
CONSTANTS = [('7', Raw('7')), ('-0.5', Raw('-0.5')), ("'t\"é'", Raw('"t\\"é"')), ('true', Raw('true')), ('tm.null', Raw('null')),
             ('{ b = 1, a = { 2, false } }', None), ('{ 1, { y = 1, x = tm.null } }', None), ('tm.array {}', None), ('{}', None)]
TEXTS = {5: '{"a":[2,false],"b":1}', 6: '[1,{"x":null,"y":1}]', 7: '[]', 8: '{}'}


def constant(r):
    i = r.randrange(len(CONSTANTS))
    text, value = CONSTANTS[i]
    if value is None:
        value = parse(TEXTS[i])
        if isinstance(value, Obj):
            value.kind = 'sorted'
    return text, value


def field(name):
    return 'e[' + json.dumps(name, ensure_ascii=False) + ']'


def write_ops(r):
    """Statements on e; each is (Lua, function that changes the event)."""
    x, y = r.choice(NAMES), r.choice(NAMES)
    kind = r.randrange(8)
    if kind == 0:
        text, value = constant(r)
        return f'{field(x)} = {text}', lambda e: e.put(x, copy_kind(value))
    if kind == 1:
        return f'{field(x)} = nil', lambda e: e.put(x, None)
    if kind == 2:   # a field's value into another one: scalars through Lua, objects as their text, arrays as tables
        def give(e):
            v = e.get(y)
            if isinstance(v, Obj):
                e.put(x, copy(v))
            elif isinstance(v, Arr):
                read = plain(v)
                e.put(x, read)
            else:
                s = scalar(v)
                e.put(x, None if s is None else write(s))
        return f'{field(x)} = {field(y)}', give
    if kind == 3:
        text, value = constant(r)

        def nested(e):
            o = e.get(x)
            if isinstance(o, Obj):
                o.put(y, copy_kind(value))
                e.put(x, o)
            elif isinstance(o, Arr):
                plain(o)
            elif o is not None:
                scalar(o)
        return f'if getmetatable({field(x)}) == "event" then {field(x)}[{json.dumps(y, ensure_ascii=False)}] = {text} end', nested
    if kind == 4:
        def append(e):
            l = e.get(x)
            if isinstance(l, Arr):
                read = plain(l)
                e.put(x, Arr(read.items + [Raw('5')]))
            elif l is not None and not isinstance(l, Obj):
                scalar(l)
        return f'if getmetatable({field(x)}) == "array" then table.insert({field(x)}, 5) end', append
    if kind == 5:
        def mark(e):
            for k in e.keys():
                v = e.get(k)
                if isinstance(v, Arr):
                    plain(v)
                elif not isinstance(v, Obj):
                    s = scalar(v)
                    if isinstance(s, str):
                        e.put(k, write(s + '!'))
        return 'for k, v in pairs(e) do if type(v) == "string" then e[k] = v .. "!" end end', mark
    if kind == 6:
        def nested_array(e):
            o = e.get(x)
            if isinstance(o, Obj):
                l = o.get(y)
                if isinstance(l, Arr):
                    read = plain(l)
                    if read.items:
                        o.put(y, Arr([Raw('"first"')] + read.items[1:]))
                        e.put(x, o)
                elif l is not None and not isinstance(l, Obj):
                    scalar(l)
            elif isinstance(o, Arr):
                plain(o)
            elif o is not None:
                scalar(o)
        f, g = field(x), json.dumps(y, ensure_ascii=False)
        return f'if getmetatable({f}) == "event" and getmetatable({f}[{g}]) == "array" and {f}[{g}][1] then {f}[{g}][1] = "first" end', nested_array

    def count(e):
        e.put(x, write(float(len(e.keys()))))
    return f'do local n = 0 for k in next, {{}} do end local k = next(e) while k do n = n + 1 k = next(e, k) end {field(x)} = n end', lambda e: (read_all(e), count(e))


def read_all(e):
    """next(e, k) reads every value it passes."""
    for k in e.keys():
        v = e.get(k)
        if isinstance(v, Arr):
            plain(v)
        elif not isinstance(v, Obj):
            scalar(v)


def copy_kind(v):
    out = copy(v)
    if isinstance(v, Obj):
        sort_all(out)
        out.text = False
    return out


def sort_all(v):
    if isinstance(v, Obj):
        v.kind = 'sorted'
        for m in v.members:
            sort_all(m[2])


def clone(e):
    """The event as a fork sees it."""
    if e is None or isinstance(e, Raw):
        return e
    if isinstance(e, Arr):
        return Arr([clone(i) for i in e.items])
    out = Obj([[k, t, clone(v)] for k, t, v in e.members], e.kind)
    out.order, out.at_home, out.text = list(e.order), set(getattr(e, 'at_home', ())), e.text
    return out


def ordered(members):
    out = Obj([[k, quote(k), v] for k, v in members], 'ordered')
    out.order, out.at_home = [k for k, _ in members], set()
    return out


def step(r, depth=0):
    kind = r.choice(['select', 'drop', 'rename', 'set', 'write', 'write', 'write', 'table', 'filter', 'flat'] + (['branch'] if depth == 0 else []))
    if kind == 'select':
        names = r.sample(NAMES, r.randrange(3, 9))
        text = ':select { ' + ', '.join(json.dumps(n, ensure_ascii=False) for n in names) + ' }'
        return text, lambda e: [ordered([(n, carry(e.get(n))) for n in names if e.get(n) is not None])]
    if kind == 'drop':
        names = r.sample(NAMES, r.randrange(1, 4))

        def drop(e):
            for n in names:
                e.put(n, None)
            return [e]
        return ':drop { ' + ', '.join(json.dumps(n, ensure_ascii=False) for n in names) + ' }', drop
    if kind == 'rename':
        old, new = r.sample(NAMES, 3), r.sample(NAMES, 3)
        pairs = sorted(zip(old, new), key=lambda p: p[0].encode())

        def rename(e):
            values = [(a, b, e.get(a)) for a, b in pairs]
            for a, _, v in values:
                if v is not None:
                    e.put(a, None)
            for _, b, v in values:
                if v is not None:
                    e.put(b, carry(v))
            return [e]
        return ':rename { ' + ', '.join(f'[{json.dumps(a, ensure_ascii=False)}] = {json.dumps(b, ensure_ascii=False)}' for a, b in pairs) + ' }', rename
    if kind == 'set':
        x, y = r.sample(NAMES, 2)
        text, value = constant(r)

        def set_(e):
            e_y = e.get(y)
            if isinstance(e_y, Obj):
                v = copy(e_y)
            elif isinstance(e_y, Arr):
                v = plain(e_y)
            else:
                s = scalar(e_y)
                v = None if s is None else write(s)
            for k, new in sorted([(x, v), (y, copy_kind(value))], key=lambda p: p[0].encode()):
                e.put(k, new)
            return [e]
        return f':set {{ [{json.dumps(x, ensure_ascii=False)}] = function(e) return {field(y)} end, [{json.dumps(y, ensure_ascii=False)}] = function() return {text} end }}', set_
    if kind == 'write':
        ops = [write_ops(r) for _ in range(r.randrange(1, 5))]

        def change(e):
            # arrays read in a call are compared and written back when it returns, so one that two statements change
            # is changed twice; the statements here see each other's changes, as the tables in the script do
            for _, op in ops:
                op(e)
            return [e]
        return ':map(function(e) ' + ' '.join(t for t, _ in ops) + ' return e end)', change
    if kind == 'table':
        names = r.sample(NAMES, r.randrange(1, 6))

        def table(e):
            members = []
            for n in names:
                v = e.get(n)
                if isinstance(v, Obj):
                    members.append([n, quote(n), copy(v)])
                elif isinstance(v, Arr):
                    members.append([n, quote(n), plain(v)])
                else:
                    s = scalar(v)
                    if s is not None:
                        members.append([n, quote(n), write(s)])
            out = Obj(members, 'sorted')
            out.at_home = set()
            return [out]
        return ':map(function(e) return { ' + ', '.join(f'[{json.dumps(n, ensure_ascii=False)}] = {field(n)}' for n in names) + ' } end)', table
    if kind == 'filter':
        n = r.choice(NAMES)

        def keep(e):
            v = e.get(n)
            if isinstance(v, Obj):
                return [e]
            if isinstance(v, Arr):
                plain(v)
                return [e]
            s = scalar(v)
            return [e] if s is None or s == '' or not isinstance(s, float) or s < 50 else []
        return f':filter(function(e) local v = {field(n)} return type(v) ~= "number" or v < 50 end)', keep
    if kind == 'flat':
        t, op = write_ops(r)

        def flat(e):
            first = clone(e)
            op(e)
            return [first, clone(e)]
        return f':flat_map(function(e, emit) emit(e) {t} emit(e) end)', flat
    inner = [step(r, 1) for _ in range(2)]
    n = r.choice(NAMES)

    def branch(e):
        v = e.get(n)
        if isinstance(v, Arr):
            plain(v)
        elif v is not None and not isinstance(v, Obj):
            scalar(v)
        is_nil = v is None or isinstance(v, Raw) and v.text == 'null'
        rows = [] if is_nil else list(inner[0][1](clone(e)))
        return rows + list(inner[1][1](clone(e)))
    return (f'BRANCH({field(n)} ~= nil, {inner[0][0]}, {inner[1][0]})', branch)


# ---- random events ----

def number(r):
    kind = r.randrange(12)
    if kind == 0:
        return r.choice(['0', '-0', '0.0', '-0.0', '0e5', '1E2', '1e+2', '100e-2', '9007199254740992', '-9007199254740992'])
    if kind == 1 and r.random() < 0.3:
        return r.choice(['9007199254740993', '-12345678901234567890', '1e400', '123456789012345678901234567890'])
    if kind < 6:
        return str(r.randrange(-1000, 1000))
    return ('%.*f' % (r.randrange(0, 6), r.uniform(-1000, 1000)))


def string(r):
    out = '"'
    for _ in range(r.randrange(0, 12)):
        out += r.choice(['a', 'b', ' ', 'é', '😀', '\\n', '\\"', '\\\\', '\\/', '\\u00e9', '\\ud83d\\ude00', '\\u0041', '\\u0000', '/', '{', '}', '[', ']', ',', ':', '\u2028', '\x7f'])
    return out + '"'


def space(r, on):
    return r.choice(['', '', ' ', '  ', '\t']) if on else ''


def value(r, depth, on):
    kind = r.randrange(10)
    if kind < 3:
        return number(r)
    if kind < 6:
        return string(r)
    if kind == 6:
        return r.choice(['true', 'false', 'null'])
    if depth > 2 or kind == 7 and depth > 0:
        return r.choice(['[]', '{}', 'null'])
    if kind < 9:
        return obj(r, depth + 1, on)
    items = [space(r, on) + value(r, depth + 1, on) + space(r, on) for _ in range(r.randrange(0, 4))]
    return '[' + ','.join(items) + ']'


def obj(r, depth, on):
    names = [r.choice(NAMES) for _ in range(r.randrange(0, 8))]
    if r.random() > 0.15:
        names = list(dict.fromkeys(names))
    members = []
    for n in names:
        key = quote(n)
        if r.random() < 0.05:
            key = '"' + ''.join('\\u%04x' % ord(c) for c in n) + '"'
        members.append(space(r, on) + key + space(r, on) + ':' + space(r, on) + value(r, depth, on) + space(r, on))
    return '{' + ','.join(members) + '}'


def lua_of(steps):
    text, returned = "local tm = require 'tidemill'\nlocal s = tm.pipeline 'p'", []
    for t, _ in steps:
        if t.startswith('BRANCH('):
            cond, one, two = t[7:-1].split(', :', 2)
            text += f'\nlocal out = s:branch {{ one = function(e) return {cond} end, two = function(e) return true end }}'
            text += f'\nreturn {{ out.one:{one}, out.two:{two} }}'
            return text + '\n'
        text += '\n  ' + t
    return text + '\nreturn s\n'


def strip(text):
    out, at = [], 0
    while at < len(text):
        if text[at] == '"':
            token, at = parse_string(text, at)
            out.append(token)
        else:
            if text[at] not in ' \t':
                out.append(text[at])
            at += 1
    return ''.join(out)


def main():
    if sys.argv[1] == '--strip':
        sys.stdout.write(strip(sys.stdin.read()))
        return
    seed, events, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    r = random.Random(seed)
    steps = [step(r, 1) for _ in range(r.randrange(1, 6))]
    if r.random() < 0.4:
        last = None
        while last is None or not last[0].startswith('BRANCH('):
            last = step(r, 0)
        steps.append(last)
    lines, want = [], []
    for _ in range(events):
        line = obj(r, 0, r.random() < 0.3)
        lines.append(line)
        try:
            rows = [parse(line)]
            for _, f in steps:
                rows = [row for e in rows for row in f(e)]
            want += [show(e) for e in rows]
        except Fails:
            pass
    open(folder + '/in.ndjson', 'w').write(''.join(l + '\n' for l in lines))
    open(folder + '/want.ndjson', 'w').write(''.join(w + '\n' for w in want))
    open(folder + '/chain.lua', 'w').write(lua_of(steps))


if __name__ == '__main__':
    main()
