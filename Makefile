# make demo   trains a first model and leaves it and its pictures in unspool-demo/two_sines
# make test   runs the tests
# make fuzz   runs the tests that take minutes: thousands of odd parameters, every check at defaults,
#             2,000 examples of each law in tests/laws
# make lint   checks format, lint and types
# make test-lowest, make test-newest   run the tests on the lowest and the newest versions of all
#             dependencies that pyproject.toml allows
# make bench  times the recurrence and the two-sines experiment, and other libraries, in .venv-peers;
#             CASES="train encode" runs only these
# make docs   builds the site into docs/_build/html, from this tree; a warning is an error
# make clean  removes what the others made
# Each creates .venv with what it needs; a second run installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
BOUNDS := .venv-lowest .venv-newest
PEERS := .venv-peers
PEERS_INSTALLED := $(PEERS)/.installed

.PHONY: demo test test-lowest test-newest fuzz lint bench docs clean

demo: $(INSTALLED)
	$(BIN)/unspool demo two_sines

test: $(INSTALLED)
	$(BIN)/python -m pytest

fuzz: $(INSTALLED)
	$(BIN)/python -m pytest -m slow
	UNSPOOL_EXAMPLES=2000 $(BIN)/python -m pytest tests/laws

# Old and new releases warn of one another's deprecations, which says nothing about unspool.
test-lowest test-newest: test-%: .venv-%/.installed
	.venv-$*/bin/python -m pytest -W ignore::DeprecationWarning -W ignore::FutureWarning

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED) $(PEERS_INSTALLED)
	$(BIN)/python -m benchmarks $(CASES)

docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf docs/_build docs/_examples docs/api docs/gallery docs/cli.md
	rm -rf $(VENV) $(BOUNDS) $(PEERS) unspool-demo .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train]" --group dev
	touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group docs
	touch $@

# uv resolves to the lower bounds, which pip cannot do.
.venv-lowest/.installed: RESOLUTION := lowest-direct
.venv-newest/.installed: RESOLUTION := highest
.venv-lowest/.installed .venv-newest/.installed: .venv-%/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-$*/bin/uv pip install --quiet --python .venv-$*/bin/python --resolution $(RESOLUTION) --editable ".[train]" --group dev
	touch $@

$(PEERS_INSTALLED): benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
