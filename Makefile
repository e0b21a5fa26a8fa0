# make demo   trains the first experiment and leaves model and pictures in unspool-demo/sines
# make test   runs the tests
# make fuzz   runs the tests that take minutes: thousands of odd parameters, every check at defaults
# make lint   checks format, lint and types
# make bench  times the recurrence and the first experiment beside other libraries, in .venv-peers;
#             CASES="train encode" runs those alone
# make docs   builds the site into docs/_build/html, from this tree; a warning is an error
# make clean  removes what the others made
# Each creates .venv with what it needs; a second run installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed

.PHONY: demo test fuzz lint bench docs clean

demo: $(INSTALLED)
	$(BIN)/unspool demo sines

test: $(INSTALLED)
	$(BIN)/python -m pytest

fuzz: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED) $(PEERS_INSTALLED)
	$(BIN)/python -m benchmarks $(CASES)

docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf docs/_build docs/api docs/gallery docs/cli.md
	rm -rf $(VENV) $(PEERS) unspool-demo .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train]" --group dev
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $@

$(PEERS_INSTALLED): benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
