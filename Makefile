# Everything here sets up what it needs by itself: a virtual environment in .venv, made once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint types check bench figures clean

demo: $(READY)          ## run the main job: a policy, a daemon, thousands of requests, decisions
	$(BIN)/python demo/demo.py $(DEMO)

test: lint types check  ## everything that must pass before a commit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: $(READY)
	$(BIN)/pytest --numprocesses=auto

bench: $(READY)         ## measure, and print the tables
	@mkdir -p .benchmarks
	PYTHONHASHSEED=0 $(BIN)/python -m pytest tests/bench --benchmark-enable --benchmark-only --benchmark-quiet \
	    --benchmark-timer=time.process_time --benchmark-json=.benchmarks/latest.json
	@$(BIN)/python tests/bench/table.py .benchmarks/latest.json

figures: $(READY)       ## measure what the project promises, and print a table; TRACE=LOG.swf.gz is a log of yours
	PYTHONHASHSEED=0 PYTHONPATH=tests $(BIN)/python -m bench.figures $(if $(TRACE),--trace $(TRACE)) $(FIGURES)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "WNoDeS needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); .ci/python-venv && $(PYTHON) -m venv $(VENV); }
	@echo "setting up $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[daemon,test,dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
