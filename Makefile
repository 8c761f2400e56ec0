# make demo   sets up, then makes three steered takes of one prompt and the page that compares them
# make test   sets up, then runs all fast tests
# make acceptance   runs the quality bars on the bundled weights
# make test-all     runs every test
# make campaign     runs the campaign of bad inputs, kills, full disks and resources (about 15 minutes on 2 cores)
# make test-lowest, make test-newest   run the fast tests (without tests/docs) with the lowest declared versions, and with
#                                      the newest ones, in build/venv-*; TESTS=tests/musicgen selects some
# make lint   checks format, style and the import contracts (.importlinter)
# make examples   runs the notebook, the example scripts and the commands of the docs
# make docs   builds the documentation site in build/site; warnings are errors
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTS ?= tests --ignore=tests/docs
# up to four processes of one thread each; the tests of a file run in one, and share its fixtures
PARALLEL := -n logical --maxprocesses 4 --dist loadfile
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit("Tonearm needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'

.PHONY: demo test acceptance campaign test-all test-lowest test-newest lint types examples docs clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	$(BIN)/tonearm compare "a latin song with guitar" --steer tempo=+1 --also tempo=-1 --also tempo=+1,brightness=-0.5 \
		--seconds 10 --seed 6 --beats bundled --force --out demo
	@echo "Open demo/index.html"

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL)

acceptance: $(STAMP)
	$(BIN)/python -m pytest -m acceptance

campaign: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m campaign -n 2 tests/campaign

test-all: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) -m ""

test-lowest: build/lowest.txt
test-newest: build/newest.txt
test-lowest test-newest: test-%:
	$(PYTHON) -m venv --clear build/venv-$*
	build/venv-$*/bin/pip install --quiet --constraint build/$*.txt --editable ".[test]"
	build/venv-$*/bin/pip install --quiet --constraint build/$*.txt --no-deps beat-this basic-pitch
	build/venv-$*/bin/pip freeze --exclude-editable
	OMP_NUM_THREADS=1 build/venv-$*/bin/python -m pytest $(PARALLEL) $(TESTS)

build/lowest.txt: pyproject.toml .ci/lowest.py
	mkdir -p build
	$(CHECK_PYTHON)
	$(PYTHON) .ci/lowest.py test > $@

build/newest.txt:
	mkdir -p build
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(STAMP)
	$(BIN)/mypy

examples: $(STAMP)
	$(BIN)/python -m pytest -m "" tests/docs

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

$(STAMP): pyproject.toml constraints.txt
	$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps beat-this  # its torchaudio breaks on CPU-only torch, and is not needed
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps basic-pitch  # only its ONNX model is used, without TensorFlow
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache
