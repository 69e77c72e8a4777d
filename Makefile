# tidemill. Everything made lies in build/ (make B=elsewhere moves it). `make help` lists the targets.
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules --no-print-directory $(if $(filter 0,$(MAKELEVEL)),-j2)
B       = build
CC      = gcc
CXX     = g++
PREFIX  = /usr/local
WARN    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS  = -O2 -g
TM_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) -D_GNU_SOURCE -I/usr/include/luajit-2.1 -MMD -MP
LIBS    = -Wl,--export-dynamic-symbol='tm_ffi_*' -lluajit-5.1 -lev -lmsgpackc -lz -lzstd -lpcre2-8 -lsqlite3 -lm -lpthread -ldl

DEPS_BUILD = gcc libc6-dev make luajit libluajit-5.1-dev libev-dev libxxhash-dev libmsgpack-dev zlib1g-dev libzstd-dev libpcre2-dev \
             libssl-dev libsqlite3-dev tzdata
DEPS_TEST  = $(DEPS_BUILD) lua-busted jq sqlite3 python3 python3-msgpack gzip zstd openssl
DEPS_CHECK = $(DEPS_TEST) clang clang-tidy cppcheck lua-check
DEPS_BENCH = $(DEPS_BUILD) g++ libsimdjson-dev lua-cjson jq mawk miller sqlite3

SRC  := $(shell find host -name '*.c')
OBJ  := $(SRC:%.c=$(B)/obj/%.o) $(B)/obj/embed.o
LUA  := $(shell find lua -name '*.lua')
UNITS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(addprefix $(B)/bench/,gen_cards gen_keys gen_history gen_activity yardstick measure phases latency fdatasync state_table journal)
need = @sh .ci/deps $(1)

help:     ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18
all: $(B)/tidemill  ## build build/tidemill
demo:     ## install what is missing, build, run the demonstration
	$(call need,$(DEPS_BUILD))
	@$(MAKE) all
	@$(B)/tidemill run scripts/fraud/demo.lua
test:     ## install what is missing, build, run the C unit tests and the specs
	$(call need,$(DEPS_TEST))
	@$(MAKE) all unit
	@sh tests/run.sh $(B)
check:    ## lint, then the tests again under sanitizers, then each fuzzer for FUZZ_SECONDS (10)
	$(call need,$(DEPS_CHECK))
	@sh tests/check.sh $(B)
crash:    ## the tests of deaths at their larger size (CRASHES, KILLS, SEEDS; tests/crash.sh)
	$(call need,$(DEPS_TEST))
	@$(MAKE) all unit
	@sh tests/crash.sh $(B)
coverage: ## branches of journal, snapshots, recovery and sinks' tokens that tests take; fails below tests/coverage.py's bounds
	$(call need,$(DEPS_TEST))
	@mkdir -p $(B)
	@sh tests/coverage.sh $(B)/coverage
bench:    ## measure against other programs (BENCH_EVENTS, BENCH_ROUNDS, BENCH_PARTS; tests/bench/README.md)
	$(call need,$(DEPS_BENCH))
	@$(MAKE) all $(BENCH)
	@sh tests/bench/setup.sh $(B)/bench
	@luajit tests/bench/run.lua $(B)
install: all  ## copy the program to PREFIX/bin (/usr/local)
	install -D -m 755 $(B)/tidemill $(DESTDIR)$(PREFIX)/bin/tidemill
clean:    ## remove build/
	rm -rf $(B)
deps:     ## install the packages that demo, test and check need
	$(call need,$(DEPS_CHECK))
unit: $(UNITS) $(B)/faults/calls.so
fuzz: $(FUZZ)
objects: $(OBJ)
.PHONY: help all demo test check crash coverage bench install clean deps unit fuzz objects

$(B)/tidemill: $(OBJ)
	@echo '  link  $@'
	@$(CC) $(CFLAGS) -o $@ $^ $(LIBS)
$(B)/host.a: $(filter-out %/main.o,$(OBJ))
	@rm -f $@
	@ar rcs $@ $^
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	@$(CC) $(TM_CFLAGS) -c -o $@ $<
$(B)/obj/embed.o: $(B)/embed.c
	@$(CC) $(TM_CFLAGS) -Ihost -c -o $@ $<
$(B)/embed.c: host/engine/embed.lua host/abi.h $(LUA) $(shell find lua -type d)
	@mkdir -p $(@D)
	@echo '  embed $@'
	@luajit host/engine/embed.lua $@ host/abi.h lua $(sort $(LUA))
$(B)/unit/%: tests/unit/%.c $(B)/host.a
	@mkdir -p $(@D)
	@echo '  cc    $<'
	@$(CC) $(TM_CFLAGS) -Ihost -o $@ $< $(B)/host.a $(LIBS)
# preloaded into the program by specs, so it is never built with sanitizers
$(B)/faults/%.so: tests/faults/%.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	@$(CC) -std=gnu11 -O2 -g $(WARN) -fPIC -shared -o $@ $< -ldl
$(B)/fuzz/%: tests/fuzz/%.c $(B)/host.a
	@mkdir -p $(@D)
	@echo '  cc    $<'
	@$(CC) $(TM_CFLAGS) -Wno-missing-prototypes -fsanitize=fuzzer -Ihost -o $@ $< $(B)/host.a $(LIBS)
$(B)/bench/state_table $(B)/bench/journal: $(B)/host.a
$(B)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	@$(CC) $(TM_CFLAGS) -o $@ $< $(filter %.a,$^) -lm -lpthread
-include $(OBJ:.o=.d) $(addsuffix .d,$(UNITS) $(FUZZ) $(BENCH))
