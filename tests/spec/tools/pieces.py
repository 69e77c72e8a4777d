"""pieces.py SEED [SMALL] - copies standard input to standard output in pieces of odd sizes, with short rests.

Stands for a writer that writes as it likes and for a reader that reads as it likes. SMALL bounds the piece's size
(default 100000). The sizes follow from SEED; the rests only make it likelier that the other side sees the pieces apart.
"""
import os
import random
import sys
import time

rng = random.Random(int(sys.argv[1]))
bound = int(sys.argv[2]) if len(sys.argv) > 2 else 100000
while True:
    size = rng.choice([1, 2, 3, rng.randrange(1, 100), rng.randrange(1, 5000), rng.randrange(1, 100000)])
    data = os.read(0, min(size, bound))
    if not data:
        break
    while data:
        data = data[os.write(1, data):]
    if rng.random() < 0.1:
        time.sleep(0.0005)
