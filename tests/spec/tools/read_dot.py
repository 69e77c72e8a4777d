#!/usr/bin/env python3
"""Reads a DOT digraph from standard input by the grammar of graphviz.org/doc/info/lang.html (quoted and plain IDs, statements,
attributes, subgraphs) and prints {"nodes": {id: label}, "edges": [{"from", "to", "label"?}]}. Labels are given as they are drawn:
escapes resolved, \\n as a line, HTML entities as their characters."""
import html
import json
import re
import sys

TOKEN = re.compile(r'\s+|("(?:[^"\\]|\\.)*")|([A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)|(-?(?:\.\d+|\d+(?:\.\d*)?))|(->)|([{}\[\];,=])', re.S)


def tokens(text):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            sys.exit(f"not DOT at {text[at:at + 40]!r}")
        if m.lastgroup or m.lastindex:
            yield m.group(0)
        at = m.end()


def drawn(token):
    if not token.startswith('"'):
        return token
    # in the string itself only \" is an escape; those of labels come after it
    inner = re.sub(r'\\(.)', lambda m: {"n": "\n", "l": "\n", "r": "\n"}.get(m.group(1), m.group(1)), token[1:-1])
    return html.unescape(inner)


class Reader:
    def __init__(self, text):
        self.all, self.at = list(tokens(text)), 0
        self.nodes, self.edges = {}, []

    def peek(self):
        return self.all[self.at] if self.at < len(self.all) else None

    def take(self, wanted=None):
        token = self.peek()
        if token is None or (wanted is not None and token != wanted):
            sys.exit(f"expected {wanted}, found {token}")
        self.at += 1
        return token

    def attributes(self):
        found = {}
        if self.peek() != "[":
            return found
        self.take("[")
        while self.peek() != "]":
            name = self.take()
            self.take("=")
            found[name] = drawn(self.take())
            if self.peek() in (",", ";"):
                self.take()
        self.take("]")
        return found

    def statements(self):
        self.take("{")
        while self.peek() != "}":
            first = self.take()
            if first == "subgraph":
                self.take()
                self.statements()
            elif self.peek() == "=":
                self.take("=")
                self.take()
            elif self.peek() == "->":
                self.take("->")
                edge = {"from": first, "to": self.take()}
                label = self.attributes().get("label")
                self.edges.append(edge if label is None else {**edge, "label": label})
            else:
                label = self.attributes().get("label")
                if first not in ("node", "edge", "graph"):
                    self.nodes[first] = label
            if self.peek() == ";":
                self.take()
        self.take("}")


reader = Reader(sys.stdin.read())
reader.take("digraph")
reader.take()
reader.statements()
if reader.peek() is not None:
    sys.exit(f"text behind the graph: {reader.peek()}")
for e in reader.edges:
    for end in ("from", "to"):
        if e[end] not in reader.nodes:
            sys.exit(f"an edge to a node that is not declared: {e}")
print(json.dumps({"nodes": reader.nodes, "edges": reader.edges}))
