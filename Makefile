# `make demo` and `make test` need Python 3.11 or newer, git and make, and set up the rest by themselves.
PYTHON ?= python3
BIN := .venv/bin

DURATION ?= 10m

.PHONY: setup demo test enumerate soak bench lock clean

setup: .venv/ready

.venv/ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv with the locked packages (once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: setup
	@$(BIN)/dtmf demo

test: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadgroup

# Every crash point; in still more scenes with `make enumerate ALL=1`. See docs/proof.md.
enumerate: setup
	@$(BIN)/python -m tests.enumerate $(if $(ALL),--all)

# Everything that can go wrong, again and again: DURATION=90, 10m, 2h. Exit status 1 on a broken promise.
soak: setup
	@$(BIN)/python -m tests.soak $(DURATION)

# Figures for people, on a quiet machine; no test depends on them.
bench: setup
	@$(BIN)/python benchmarks/simulator.py
	@$(BIN)/python benchmarks/throughput.py 1
	@$(BIN)/python benchmarks/throughput.py 2
	@$(BIN)/python benchmarks/intake.py 1
	@$(BIN)/python benchmarks/intake.py 2

# The lock files hold hashes and no index addresses; `pip install uv` first.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras --group dev pyproject.toml -o requirements-dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.txt --extra roles --extra web pyproject.toml -o requirements.txt

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
