#!/bin/sh
# What the benchmark needs besides packages: the peers built or installed into DIR. Each may fail: run.lua tells a peer
# that is not there as "not here". Quick when it was done before.
#
#   setup.sh DIR
set -u
dir=$1
here=$(dirname "$0")
duckdb=@duckdb/node-api@1.5.6-r.1

# Node.js and npm by package only when no other installation is there
command -v node >/dev/null || sh .ci/deps nodejs || echo "bench: Node.js is not here" >&2
command -v npm >/dev/null || sh .ci/deps npm || echo "bench: npm is not here" >&2

if [ ! -x "$dir/simdjson_t0" ] || [ "$here/simdjson_t0.cpp" -nt "$dir/simdjson_t0" ]; then
  g++ -O3 -march=haswell -std=c++17 -o "$dir/simdjson_t0" "$here/simdjson_t0.cpp" -lsimdjson ||
    echo "bench: simdjson is not here" >&2
fi
if [ ! -d "$dir/node_modules/@duckdb/node-api" ]; then
  npm install --silent --no-audit --no-fund --prefix "$dir" "$duckdb" >/dev/null 2>&1 ||
    echo "bench: DuckDB is not here (npm cannot install $duckdb)" >&2
fi
exit 0
