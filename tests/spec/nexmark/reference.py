"""reference.py - NEXMark's queries once more, the slow and obvious way: loops over lists, no SQL. What it answers is compared with
q*.sql, so that neither is believed alone.

  reference.py EVENTS SIDE OUT      for each query OUT/qN.ndjson

Averages are fractions and prices decimals until the last step. Joins try every pair: for some thousand events only.
"""

import datetime
import decimal
import fractions
import re
import sys

from answers import events_of, side_of, write

RATE = decimal.Decimal("0.908")
LEVELS = {"rank1": lambda p: p < 10000, "rank2": lambda p: 10000 <= p < 1000000, "rank3": lambda p: p >= 1000000}


def clock(ts):
    return datetime.datetime.fromtimestamp(ts // 1000, datetime.timezone.utc)


def pick(row, *names):
    return {name: row[name] for name in names}


def mean(values):
    return float(fractions.Fraction(sum(values), len(values)))


def grouped(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def in_time(auction, bids):
    """The bids on an auction while it was open, in order of arrival."""
    return [b for b in bids if b["auction"] == auction["id"] and auction["ts"] <= b["ts"] <= auction["expires"]]


def winner(bids):
    best = bids[0]
    for b in bids[1:]:
        if b["price"] > best["price"] or b["price"] == best["price"] and b["ts"] < best["ts"]:
            best = b
    return best


def levels(bids, row):
    """Numbers of bids, bidders and auctions, in all and by price."""
    tests = {"total": lambda p: True, **LEVELS}
    for level, test in tests.items():
        row[level + "_bids"] = len([b for b in bids if test(b["price"])])
    for what, name in (("bidders", "bidder"), ("auctions", "auction")):
        for level, test in tests.items():
            row[level + "_" + what] = len({b[name] for b in bids if test(b["price"])})
    return row


class Queries:
    def __init__(self, events, side):
        self.persons, self.auctions, self.bids = [], [], []
        lists = {"person": self.persons, "auction": self.auctions, "bid": self.bids}
        for kind, event in events_of(events):
            lists[kind].append(event)
        self.side = side_of(side)

    def q0(self):
        return [pick(b, "auction", "bidder", "price", "ts", "extra") for b in self.bids]

    def q1(self):
        return [{**row, "price": float(row["price"] * RATE)} for row in self.q0()]

    def q2(self):
        return [pick(b, "auction", "price") for b in self.bids if b["auction"] % 123 == 0]

    def q3(self):
        return [{**pick(p, "name", "city", "state"), "id": a["id"]} for a in self.auctions for p in self.persons
                if a["category"] == 10 and a["seller"] == p["id"] and p["state"] in ("OR", "ID", "CA")]

    def q4(self):
        finals = {}
        for a in self.auctions:
            prices = [b["price"] for b in in_time(a, self.bids)]
            if prices:
                finals.setdefault(a["category"], []).append(max(prices))
        return [{"category": category, "final": mean(prices)} for category, prices in finals.items()]

    def q5(self):
        times = [b["ts"] for b in self.bids]
        rows = []
        for start in range(min(times) // 2000 * 2000 - 8000, max(times) + 1, 2000):
            counts = {}
            for b in self.bids:
                if start <= b["ts"] < start + 10000:
                    counts[b["auction"]] = counts.get(b["auction"], 0) + 1
            rows += [{"auction": a, "num": n, "window_start": start, "window_end": start + 10000}
                     for a, n in counts.items() if n == max(counts.values())]
        return rows

    def q6(self):
        sold = []
        for a in self.auctions:
            bids = in_time(a, self.bids)
            if bids:
                sold.append((a["expires"], a["id"], a["seller"], winner(bids)["price"]))
        rows, by_seller = [], {}
        for _, auction, seller, price in sorted(sold):
            prices = by_seller.setdefault(seller, [])
            prices.append(price)
            rows.append({"seller": seller, "auction": auction, "avg_price": mean(prices[-10:])})
        return rows

    def q7(self):
        rows = []
        for bids in grouped(self.bids, lambda b: b["ts"] // 10000).values():
            highest = max(b["price"] for b in bids)
            rows += [pick(b, "auction", "bidder", "price", "ts", "extra") for b in bids if b["price"] == highest]
        return rows

    def q8(self):
        rows = []
        for p in self.persons:
            period = p["ts"] // 10000
            if any(a["seller"] == p["id"] and a["ts"] // 10000 == period for a in self.auctions):
                rows.append({**pick(p, "id", "name"), "window_start": period * 10000})
        return rows

    def q9(self):
        rows = []
        for a in self.auctions:
            bids = in_time(a, self.bids)
            if bids:
                b = winner(bids)
                rows.append({**a, "bidder": b["bidder"], "price": b["price"], "bid_ts": b["ts"], "bid_extra": b["extra"]})
        return rows

    def q10(self):
        return [{**row, "dt": clock(row["ts"]).strftime("%Y-%m-%d"), "hm": clock(row["ts"]).strftime("%H:%M")} for row in self.q0()]

    def q11(self):
        rows = []
        for bidder, bids in grouped(self.bids, lambda b: b["bidder"]).items():
            times = sorted(b["ts"] for b in bids)
            first = 0
            for i in range(1, len(times) + 1):
                if i == len(times) or times[i] - times[i - 1] > 10000:
                    rows.append({"bidder": bidder, "bid_count": i - first, "window_start": times[first],
                                 "window_end": times[i - 1] + 10000})
                    first = i
        return rows

    def q12(self):
        return [{"bidder": bidder, "bid_count": len(bids)} for bidder, bids in grouped(self.bids, lambda b: b["bidder"]).items()]

    def q13(self):
        side = dict(self.side)
        return [{**pick(b, "auction", "bidder", "price", "ts"), "value": side[b["auction"] % 10000]} for b in self.bids
                if b["auction"] % 10000 in side]

    def q14(self):
        rows = []
        for row in self.q0():
            price, hour = row["price"] * RATE, clock(row["ts"]).hour
            if 1000000 < price < 50000000:
                kind = "dayTime" if 8 <= hour <= 18 else "nightTime" if hour <= 6 or hour >= 20 else "otherTime"
                rows.append({**row, "price": float(price), "bid_time_type": kind, "c_counts": row["extra"].count("c")})
        return rows

    def q15(self):
        return [levels(bids, {"day": day}) for day, bids in grouped(self.bids, lambda b: clock(b["ts"]).strftime("%Y-%m-%d")).items()]

    def q16(self):
        rows = []
        for (channel, day), bids in grouped(self.bids, lambda b: (b["channel"], clock(b["ts"]).strftime("%Y-%m-%d"))).items():
            minute = clock(max(b["ts"] for b in bids)).strftime("%H:%M")
            rows.append(levels(bids, {"channel": channel, "day": day, "minute": minute}))
        return rows

    def q17(self):
        rows = []
        for (auction, day), bids in grouped(self.bids, lambda b: (b["auction"], clock(b["ts"]).strftime("%Y-%m-%d"))).items():
            prices = [b["price"] for b in bids]
            row = {name: n for name, n in levels(bids, {}).items() if name.endswith("_bids")}
            rows.append({**row, "auction": auction, "day": day, "min_price": min(prices), "max_price": max(prices),
                         "avg_price": mean(prices), "sum_price": sum(prices)})
        return rows

    def q18(self):
        last = {}
        for b in self.bids:
            key = b["bidder"], b["auction"]
            if key not in last or b["ts"] >= last[key]["ts"]:
                last[key] = b
        return list(last.values())

    def q19(self):
        rows = []
        for bids in grouped(self.bids, lambda b: b["auction"]).values():
            left = list(bids)
            for rank in range(1, min(10, len(bids)) + 1):
                best = winner(left)
                left.remove(best)
                rows.append({**best, "rank": rank})
        return rows

    def q20(self):
        rows = []
        for b in self.bids:
            for a in self.auctions:
                if a["id"] == b["auction"] and a["category"] == 10:
                    rows.append({**pick(b, "auction", "bidder", "price", "channel", "url"), "bid_ts": b["ts"], "bid_extra": b["extra"],
                                 **pick(a, "item_name", "description", "initial_bid", "reserve", "expires", "seller", "category"),
                                 "auction_ts": a["ts"], "auction_extra": a["extra"]})
        return rows

    def q21(self):
        known = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}
        rows = []
        for b in self.bids:
            found = re.search("(?:&|^)channel_id=([^&]*)", b["url"])
            channel_id = known.get(b["channel"].lower()) or found and found.group(1)
            if channel_id is not None:
                rows.append({**pick(b, "auction", "bidder", "price", "channel"), "channel_id": channel_id})
        return rows

    def q22(self):
        rows = []
        for b in self.bids:
            parts = b["url"].split("/")
            rows.append({**pick(b, "auction", "bidder", "price", "channel"), "dir1": parts[3], "dir2": parts[4], "dir3": parts[5]})
        return rows


if __name__ == "__main__":
    queries = Queries(sys.argv[1], sys.argv[2])
    for number in range(23):
        write(sys.argv[3], "q%d" % number, getattr(queries, "q%d" % number)())
