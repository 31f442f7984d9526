# Everything a developer does here; `make` lists it. Needs make, gcc and Python 3.11 or newer; the rest is
# installed: Debian packages when they are missing, Python packages into .venv.

# The interpreter .venv is made with: by default the first of these that is new enough.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# Debian packages, each with what proves that it is there (see tools/system_packages.sh).
APT_PACKAGES := gcc:gcc g++:g++ clang:clang libc6-dev:ld gdb:gdb binutils:readelf \
	python3-dev:python.h python3-venv:python-venv

BIN := .venv/bin
CMAKE := $(BIN)/cmake
CMAKE_OPTIONS = -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) \
	-DPython_EXECUTABLE=$(abspath $(BIN)/python) -DCALLTRACE_TESTS=ON -DCALLTRACE_WERROR=ON
C_FILES = $(shell find $(wildcard agent calltrace_collector/core tests bench examples) -name '*.[ch]' | sort)
PYTHON_FILES := $(wildcard calltrace_collector migrations proto tests bench)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build demo test lint format proto bench sanitize soak fuzz capture-oracle clean system

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

# --- build ---

build: .venv/installed build/dev/build.ninja ## Build everything: .venv, the agent and the core
	@flock build/dev $(CMAKE) --build build/dev -- --quiet -k 0

.venv/installed: pyproject.toml tools/system_packages.sh
	@test -n "$(PYTHON)" || { echo "Needs Python 3.11 or newer; name it with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"$(PYTHON) is Python %d.%d; needs 3.11 or newer; name another with make PYTHON=..." \
		% sys.version_info[:2])'
	@sh tools/system_packages.sh $(PYTHON) $(APT_PACKAGES)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

build/dev/build.ninja: .venv/installed
	$(CMAKE) -S . -B build/dev $(CMAKE_OPTIONS) -DCALLTRACE_INPLACE=ON
	@touch $@

proto: .venv/installed ## Regenerate the Python code for proto/
	$(BIN)/python proto/generate.py

# --- use ---

examples/bin/%: examples/%.c
	@mkdir -p examples/bin
	$(CC) -O1 -g -finstrument-functions -pthread -o $@ $<

demo: build examples/bin/multithreaded ## Trace an example program and print its call tree
	$(BIN)/calltrace record -- examples/bin/multithreaded
	$(BIN)/calltrace query

bench: build ## Measure: cost of a call, events a second, bytes a call, memory
	$(BIN)/python bench/run.py

# --- check ---

test: build lint ## Check everything: lint, C test programs, pytest
	$(BIN)/ctest --test-dir build/dev --output-on-failure --no-tests=ignore
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile $(PYTEST_OPTIONS)

lint: build ## Check style and types
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_FILES)

format: .venv/installed ## Format all sources
	$(BIN)/ruff check --fix-only $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/clang-format -i $(C_FILES)

# Each sanitizer has a build folder: C test programs in it, and in its site/ an installed package, which the
# core's Python tests then import. Python itself is not built with sanitizers, hence the preload.
SANITIZERS := address thread
SANITIZE_address := address,undefined
SANITIZE_thread := thread
PRELOAD_address = $(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libubsan.so)
PRELOAD_thread = $(shell $(CC) -print-file-name=libtsan.so)
# What CPython never frees is not our leak; the C test programs do look for leaks. -S passes by the checkout's
# own package, which is installed in .venv.
SITE_PACKAGES = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
SANITIZED_PYTHON = PYTHONPATH=$(abspath build/sanitize-$*/site):$(SITE_PACKAGES) PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$(PRELOAD_$*)" $(BIN)/python -S -P

sanitize: $(SANITIZERS:%=sanitize-%) ## Run the C tests, the core's tests and traced programs under the sanitizers

sanitize-%: build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps \
		--upgrade --target build/sanitize-$*/site --config-settings build-dir=build/sanitize-$* \
		--config-settings cmake.define.CALLTRACE_SANITIZE=$(SANITIZE_$*) \
		--config-settings cmake.define.CALLTRACE_TESTS=ON .
	$(BIN)/ctest --test-dir build/sanitize-$* --output-on-failure --no-tests=ignore
	$(SANITIZED_PYTHON) -c 'from calltrace_collector.core import _core; assert "sanitize" in _core.__file__'
	@# pytest would keep to itself what a sanitizer writes before it ends the process.
	$(SANITIZED_PYTHON) -m pytest --capture=sys tests/unit/core
	$(BIN)/python -m tests.sanitized.trace_programs $* build/sanitize-$*

# For SECONDS or ROUNDS, from SEED on, only TESTS, and with LONG=1 the long form of each.
soak: build ## Kill, stop and fill things for as long as SECONDS=... says (or ROUNDS, LONG=1)
	$(BIN)/python -m tests.faults.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SEED),--seed $(SEED)) $(if $(LONG),--long) $(TESTS)

# Of SEEDS programs in each language from seed FIRST on, with FUNCTIONS each; OPTIONS=1: other options for each.
capture-oracle: build ## Compare captured values of SEEDS=... random programs with the true ones
	$(BIN)/python -m tests.capture.oracle $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) \
		$(if $(FUNCTIONS),--functions $(FUNCTIONS)) $(if $(OPTIONS),--options)

FUZZ_SECONDS ?= 60

fuzz: .venv/installed ## Run each fuzzer for FUZZ_SECONDS (60)
	@sh tools/system_packages.sh $(BIN)/python clang:clang
	@sh tools/system_packages.sh $(BIN)/python \
		libclang-rt-$$(clang -dumpversion | cut -d. -f1)-dev:clang-fuzzer
	$(CMAKE) -S . -B build/fuzz $(CMAKE_OPTIONS) -DCMAKE_C_COMPILER=clang -DCALLTRACE_FUZZ=ON \
		-DCALLTRACE_SANITIZE=address,undefined
	$(CMAKE) --build build/fuzz
	@set -e; for program in build/fuzz/tests/fuzz/fuzz_*; do \
		test -x "$$program" || continue; \
		name=$${program##*/fuzz_}; \
		mkdir -p build/fuzz/corpus/$$name; \
		echo "--- $$name"; \
		$$program -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
			build/fuzz/corpus/$$name tests/fuzz/corpus/$$name; \
	done

clean: ## Remove what was built, but for .venv
	rm -rf build examples/bin calltrace_collector/libcalltrace.so calltrace_collector/core/_core*.so
