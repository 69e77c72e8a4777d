#!/usr/bin/env python3
"""What the JSON code of the host should answer, worked out by Python: json, decimal, the UTF-8 codec, repr().

json_oracle.py KIND SEED COUNT prints one case a line, fields separated by spaces, bytes in hex ("-" for none):
  numbers    bits text                          the shortest text, laid out as in JavaScript
  decimals   bits digits text                   rounded half to even
  strings    bytes strict lossy                 JSON strings; strict is "!" for what is not UTF-8
  texts      text, then cells: kind:span:num    the flattened value; num is a double's bits or a count
  finds      text name kind:span:num
  escapes    raw bytes
  patches    text changes result keys           changes: s:key:value or r:key, keys: names, separated by ","
Documents are grown as trees and written with random white space and escapes, so what a correct reader must find
in them is known without parsing them; json.loads confirms each.
"""
import json
import random
import struct
import sys
from decimal import Decimal, ROUND_HALF_EVEN, getcontext

ABSENT, NULL, FALSE, TRUE, NUMBER, BIGINT, HUGE, STRING, ESCAPED, OBJECT, ARRAY = range(11)
NAN_BITS = 0x7FF8000000000000
rnd = random.Random()


def bits_of(v):
    return struct.unpack("<Q", struct.pack("<d", v))[0]


def double_of(u):
    return struct.unpack("<d", struct.pack("<Q", u))[0]


def hexed(b):
    return b.hex() or "-"


# ---- numbers ----

def doubles(count):
    for e in range(2047):                                   # powers of two and their neighbours
        for d in (-1, 0, 1):
            u = (e << 52) + d
            if 0 <= u < 0x7FF << 52:
                yield u
    for k in range(-324, 309):
        for m in ("1", "2", "5", "9.5"):
            for d in (-1, 0, 1):
                u = bits_of(float("%se%d" % (m, k))) + d
                if 0 <= u < 0x7FF << 52:
                    yield u
    for _ in range(count):
        r = rnd.random()
        if r < 0.4:
            u = rnd.getrandbits(64)
        elif r < 0.6:
            u = bits_of(round(rnd.uniform(-1e6, 1e6), rnd.randint(0, 9)))
        elif r < 0.7:
            u = bits_of(rnd.random() * 10 ** rnd.randint(-12, 23))
        elif r < 0.8:
            u = bits_of(rnd.randint(-2 ** 60, 2 ** 60) / 10 ** rnd.randint(0, 22))
        elif r < 0.85:
            u = rnd.getrandbits(rnd.randint(1, 52))
        else:
            u = bits_of(rnd.getrandbits(rnd.randint(40, 70)) / 2 ** rnd.randint(0, 60))
        if u >> 52 & 0x7FF != 0x7FF:
            yield u


def number_text(v):
    """repr()'s digits, ECMA-262's layout"""
    sign, digits, e = Decimal(repr(v)).as_tuple()
    sign = "-" if sign else ""
    if v == int(v) and abs(v) < 2 ** 53:
        return sign + str(abs(int(v)))
    digits = "".join(map(str, digits)).lstrip("0")
    short = digits.rstrip("0")
    e += len(digits) - len(short)
    point = len(short) + e
    if 0 < point <= 21:
        return sign + (short + "0" * e if e >= 0 else short[:point] + "." + short[point:])
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + short
    return sign + short[0] + ("." + short[1:] if len(short) > 1 else "") + "e%d" % (point - 1)


def numbers(count):
    for u in doubles(count):
        text = number_text(double_of(u))
        assert bits_of(float(text)) == u
        print("%x %s" % (u, text))


def decimals(count):
    getcontext().prec = 1000
    for i, u in enumerate(doubles(count)):
        if i % 3:
            u = bits_of(rnd.randint(-10 ** 6, 10 ** 6) / 2 ** rnd.randint(0, 20))   # many exact halves
        digits = rnd.randint(0, 18) if rnd.random() < 0.5 else rnd.randint(0, 4)
        value = Decimal(double_of(u)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
        print("%x %d %s" % (u, digits, "{:f}".format(value)))


# ---- strings ----

def json_string(text):
    return json.dumps(text, ensure_ascii=False).encode()


SPICES = [b'"', b"\\", b"\n", b"\x00", b"\x1f", b"\x7f", "é".encode(), "€".encode(), "😀".encode(), b"\x80", b"\xc0\xaf",
          b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98", b"\xe2\x82", b"\xc3", b"\xff", b"\xf5",
          b"\xf0\x80\x80\x80", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xf4\x8f\xbf\xbf"]


def strings(count):
    for _ in range(count):
        parts = []
        for _ in range(rnd.choice((0, 1, 1, 2, 3, 8))):
            r = rnd.random()
            if r < 0.5:
                parts.append(bytes(rnd.choice(b"abcdefgh XYZ/~") for _ in range(rnd.choice((1, 3, 7, 8, 15, 16, 17, 40)))))
            elif r < 0.9:
                parts.append(rnd.choice(SPICES))
            else:
                parts.append(bytes(rnd.getrandbits(8) for _ in range(rnd.randint(1, 6))))
        b = b"".join(parts)
        try:
            strict = json_string(b.decode()).hex()
        except UnicodeDecodeError:
            strict = "!"
        print(hexed(b), strict, json_string(b.decode("utf-8", "replace")).hex())


# ---- documents ----

def space():
    return rnd.choice(("", "", "", "", " ", " ", "  ", "\n", "\t\r\n "))


class Node:
    """one value: its text, kind, what lies between quotes, members or items"""

    def __init__(self, kind, text, children=(), names=()):
        self.kind, self.text, self.children, self.names = kind, text, children, names


class Key:
    def __init__(self, name):
        self.name = name
        self.raw = raw_string(name)
        self.kind = ESCAPED if "\\" in self.raw else STRING


def raw_string(text):
    """text with random escapes"""
    out = []
    for ch in text:
        must = ch in '"\\' or ch < " "
        if must or rnd.random() < 0.1:
            if ch in '"\\/' and rnd.random() < 0.5:
                out.append("\\" + ch)
            elif ch in "\b\f\n\r\t" and rnd.random() < 0.7:
                out.append("\\" + "bfnrt"["\b\f\n\r\t".index(ch)])
            else:
                units = ch.encode("utf-16-be").hex()
                for i in range(0, len(units), 4):
                    u = units[i:i + 4]
                    out.append("\\u" + (u.upper() if rnd.random() < 0.5 else u))
        else:
            out.append(ch)
    return "".join(out)


def random_text():
    alphabet = rnd.choice(("abc", "abcdefghij", 'a"\\\n\t/', "aé€😀", "a,:{}[]"))
    return "".join(rnd.choice(alphabet) for _ in range(rnd.choice((0, 1, 2, 5, 15, 16, 17, 33))))


def number_node():
    r = rnd.random()
    if r < 0.4:
        text = str(rnd.choice((0, 1, 7, 12345, 2 ** 53, 2 ** 53 + 1, -2 ** 53 - 1, 10 ** 19, 10 ** 30, rnd.getrandbits(56), -rnd.getrandbits(70))))
    elif r < 0.7:
        text = repr(round(rnd.uniform(-1000, 1000), rnd.randint(0, 5)))
    else:
        text = rnd.choice(("-0", "-0.0", "1e5", "1E+400", "-1e400", "1e-400", "1.7976931348623159e308", "0.1e1", "2.5E-3", "5e-324",
                           "0.000000000000000000000000000000000000001", "9007199254740993.0", "123456789012345678901234567890.5e-10",
                           "1" * 900 + ".5e-880", "2.2250738585072011e-308", "1.00000000000000011102230246251565404236316680908203125" + "0" * 800 + "1"))
    if not set(text) & set(".eE"):
        kind = BIGINT if abs(int(text)) > 2 ** 53 else NUMBER
    else:
        kind = HUGE if abs(float(text)) == float("inf") else NUMBER
    return Node(kind, text)


def node(depth):
    r = rnd.random()
    if depth > 0 and r < 0.25:
        return object_node(depth)
    if depth > 0 and r < 0.45:
        items = [node(depth - 1) for _ in range(rnd.choice((0, 1, 2, 3, 5)))]
        if not items:
            return Node(ARRAY, "[" + space() + "]")
        return Node(ARRAY, "[" + ",".join(space() + n.text + space() for n in items) + "]", items)
    if r < 0.6:
        return number_node()
    if r < 0.85:
        raw = raw_string(random_text())
        return Node(ESCAPED if "\\" in raw else STRING, '"' + raw + '"')
    kind = rnd.choice((NULL, TRUE, FALSE))
    return Node(kind, {NULL: "null", TRUE: "true", FALSE: "false"}[kind])


def object_node(depth):
    n = rnd.choice((0, 1, 2, 3, 4, 5, 9, 13)) if depth == 3 else rnd.choice((0, 1, 1, 2, 3))
    if rnd.random() < 0.01:
        n = rnd.choice((40, 200))
    names = [random_text() for _ in range(max(1, n * 2 // 3))] if rnd.random() < 0.5 else ["k%d" % i for i in range(n + 1)]
    keys = [Key(rnd.choice(names)) for _ in range(n)]
    children = [node(depth - 1) for _ in range(n)]
    made = Node(OBJECT, "", children, keys)
    if not n:
        made.parts = ["{" + space()], "}"
    else:
        made.parts = [("{" if i == 0 else space() + ",") + space() for i in range(n)], space() + "}"
    made.colons = [space() + ":" + space() for _ in range(n)]
    made.text = "".join(lead + ('"' + k.raw + '"' + c + v.text) for lead, k, c, v in zip(made.parts[0], keys, made.colons, children))
    made.text = (made.text or made.parts[0][0]) + made.parts[1]
    return made


def last_members(n):
    last = {k.name: i for i, k in enumerate(n.names)}
    return [i for i, k in enumerate(n.names) if last[k.name] == i]


def cell(n):
    text = n.text[1:-1] if n.kind in (STRING, ESCAPED) else n.text
    if n.kind == NUMBER:
        num = bits_of(float(n.text))
    elif n.kind == OBJECT:
        num = bits_of(float(len(last_members(n))))
    elif n.kind == ARRAY:
        num = bits_of(float(len(n.children)))
    else:
        num = NAN_BITS
    return "%d:%s:%x" % (n.kind, hexed(text.encode()), num)


def found(n):
    """a cell as json_find gives it: containers without their count"""
    kind, text, num = cell(n).split(":")
    return "%s:%s:%x" % (kind, text, NAN_BITS if n.kind in (OBJECT, ARRAY) else int(num, 16))


def cells(n):
    yield cell(n)
    if n.kind == ARRAY:
        for child in n.children:
            yield from cells(child)
    elif n.kind == OBJECT:
        for i in last_members(n):
            yield "%d:%s:%x" % (n.names[i].kind, hexed(n.names[i].raw.encode()), NAN_BITS)
            yield from cells(n.children[i])


def document():
    n = node(3) if rnd.random() < 0.3 else object_node(3)
    if n.kind == OBJECT:
        assert list(json.loads(n.text)) == list(dict((k.name, 0) for k in n.names))
    else:
        json.loads(n.text)
    return n


def texts(count):
    for _ in range(count):
        n = document()
        print(n.text.encode().hex(), *cells(n))


def finds(count):
    for _ in range(count):
        n = document()
        if n.kind != OBJECT:
            continue
        for name in {k.name for k in n.names[:12]} | {"", "a", "k1", "nobody"}:
            at = [i for i, k in enumerate(n.names) if k.name == name]
            want = found(n.children[at[-1]]) if at else "0:-:%x" % NAN_BITS
            print(n.text.encode().hex(), hexed(name.encode()), want)


def escapes(count):
    for _ in range(count):
        raw = raw_string(random_text() + random_text())
        print(hexed(raw.encode()), hexed(json.loads('"' + raw + '"').encode()))


def patches(count):
    for _ in range(count):
        n = object_node(3)
        pool = [k.name for k in n.names] + [random_text(), "new", "k1", "é\"\n"]
        changes, order = {}, []
        for _ in range(rnd.choice((0, 1, 1, 2, 3, 8, 9, 20, 60))):
            name = rnd.choice(pool) if rnd.random() < 0.8 else "extra%d" % rnd.randint(0, 40)
            value = node(1).text if rnd.random() < 0.6 else None
            changes[name] = value
            order.append("r:" + hexed(name.encode()) if value is None else "s:%s:%s" % (hexed(name.encode()), hexed(value.encode())))
        last = {k.name: i for i, k in enumerate(n.names)}
        out, keys = "", []
        for i, k in enumerate(n.names):
            value = n.children[i].text
            if k.name in changes:
                value = changes[k.name]
                if value is None or last[k.name] != i:
                    continue
            lead = n.parts[0][i if out else 0]
            out += lead + '"' + k.raw + '"' + n.colons[i] + value
            if last[k.name] == i:
                keys.append(k.name)
        tail = n.parts[1] if out else "}"
        for name, value in changes.items():
            if name not in last and value is not None:
                out += ("," if out else "{") + json.dumps(name, ensure_ascii=False) + ":" + value
                keys.append(name)
        out = n.text if not changes else (out or "{") + tail
        plain = {k: v for k, v in json.loads(n.text).items() if k not in changes}
        plain.update((k, json.loads(v)) for k, v in changes.items() if v is not None)
        assert json.loads(out) == plain and set(keys) == set(plain)
        print(n.text.encode().hex(), ",".join(order) or "-", out.encode().hex(), ",".join(hexed(k.encode()) for k in keys) or "#")


if __name__ == "__main__":
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    rnd.seed(int(sys.argv[2]))
    globals()[sys.argv[1]](int(sys.argv[3]))
