# Everything here sets up what it needs by itself: a virtual environment in .venv, made once.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := $(VENV)/.peers
CURVES := $(VENV)/.curves
SITE   := $(VENV)/.site
API    := $(VENV)/.api
FAST   := .venv-compiled
BUILT  := $(FAST)/.ready
OF_CORE := decisions large traced modelled

# What is measured runs with the same hashes each time. What it prints, all of it, is kept for the document.
MEASURE = PYTHONHASHSEED=0 PYTHONPATH=tests $(BIN)/python -m
keep    = @mkdir -p .benchmarks; { $(MEASURE) bench.machine; echo; $(MEASURE) $(2); } \
              | tee .benchmarks/.$(1)$(if $(3),,; mv .benchmarks/.$(1) .benchmarks/$(1))

# Every target is a command but those that are files: their names begin with a dot.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' Makefile)

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

lab-slurm: $(READY)     ## drive a real Slurm of several nodes; installs Debian's packages where they are missing
	WNODES_LABS=slurm WNODES_LAB_INSTALL=1 $(BIN)/pytest -rs -p no:xdist tests/labs/slurm $(LAB)

compiled: $(BUILT)      ## install the project with its core compiled to C, into .venv-compiled

test-compiled: $(BUILT) ## all that the core promises, of the compiled core
	$(FAST)/bin/pytest --numprocesses=auto tests/core tests/decision_log tests/simulate tests/eval tests/docs

lab-openstack: $(READY) ## drive a real OpenStack of four hosts; installs it outside the repository where it is missing
	WNODES_LABS=openstack WNODES_LAB_INSTALL=1 $(BIN)/pytest -rs -p no:xdist tests/labs/openstack $(LAB)

lab-mixed: $(READY)     ## jobs and machines on real Slurm and a real OpenStack together, whose hosts are its nodes
	WNODES_LABS=openstack,slurm WNODES_LAB_INSTALL=1 $(BIN)/pytest -rs -p no:xdist tests/labs/mixed $(LAB)

lab-network: $(READY)   ## cut the link of a daemon that leads, on a host of its own: namespaces of the kernel
	WNODES_LABS=network $(BIN)/pytest -rs -p no:xdist tests/labs/network $(LAB)

openstack-figures: $(READY) ## from request to ACTIVE, through the executor and plain, in that cloud
	@mkdir -p .benchmarks; WNODES_LAB_INSTALL=1 $(MEASURE) labs.openstack.figures | tee .benchmarks/openstack.md

bait-walk: $(READY)     ## a million random steps of baits through all that can happen; fails if a host is over-committed
	PYTHONPATH=tests $(BIN)/python -m baits.walk $(WALK)

batch: $(READY)         ## measure the drivers of batch systems with 10,000 nodes and 100,000 jobs
	$(call keep,batch.md,bench.batch)

batch-torque: $(READY)  ## the same for TORQUE and OpenPBS
	$(call keep,batch_torque.md,bench.batch_torque)

batch-lsf: $(READY)     ## measure the LSF driver like that, in each of its forms
	$(call keep,batch_lsf.md,bench.batch_lsf)

slurm-rate: $(READY)    ## submit to a real Slurm, by the driver and by bare commands
	$(call keep,rate.md,labs.slurm.rate)

bench: $(PEERS)         ## measure call by call, beside other engines, and print the tables
	@mkdir -p .benchmarks
	PYTHONHASHSEED=0 $(BIN)/python -m pytest tests/bench --benchmark-enable --benchmark-only --benchmark-quiet \
	    --benchmark-timer=time.process_time --benchmark-json=.benchmarks/latest.json
	$(call keep,bench.txt,bench.table .benchmarks/latest.json)

bench-gate: bench       ## measure, and fail where a ratio to the plain loop has grown by more than 25 %
	@$(MEASURE) bench.gate $(GATE)

bench-expected:         ## expect from now on what the last `make bench` has measured
	@$(MEASURE) bench.gate --write

figures: $(READY)       ## measure what the project promises, and print a table; TRACE=LOG.swf.gz is a log of yours
	$(call keep,figures.md,bench.figures $(if $(TRACE),--trace $(TRACE)) $(FIGURES),$(FIGURES))

schemathesis: $(API)    ## try the API of a real daemon with what its own document allows, and forbids
	$(MEASURE) schemathesis_run

openapi: $(READY)       ## write schemas/openapi.json anew
	$(MEASURE) schemathesis_run.document > schemas/openapi.json

load: $(READY)          ## measure how much a daemon takes, and what it does when that is too much; LOAD="single half"
	$(call keep,load.md,load $(LOAD),$(LOAD))

soak: $(READY)          ## half an hour with a million requests: does the memory of a daemon grow?
	$(call keep,soak.md,load soak $(SOAK),$(SOAK))

fuzz: $(READY)          ## fuzz whatever reads policies, for FUZZ=600 seconds; what breaks a law is kept in .fuzz/
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@mkdir -p .fuzz; cd .fuzz; PYTHONPATH=../tests ../$(BIN)/python -m fuzz --seconds $(or $(FUZZ),600)

kills: $(READY)         ## kill a real daemon under load, again and again, and look what is lost or done twice; KILLS=300
	PYTHONPATH=tests $(BIN)/python -m kills --kills $(or $(KILLS),300) $(KILLING)

kills-slurm: $(READY)   ## the same on a real Slurm, in three minutes; takes root; KILLS=40
	PYTHONPATH=tests WNODES_LAB_INSTALL=1 $(BIN)/python -m kills --slurm --kills $(or $(KILLS),40) $(KILLING)

takeover: $(READY)      ## measure how long nobody leads when the leader of two daemons is gone
	$(call keep,takeover.md,bench.takeover)

start-time: $(READY)    ## measure a start with a million finished requests and 100,000 live ones; START="--finished 10000"
	$(call keep,start.md,bench.start $(START))

figures-compiled: BIN := $(FAST)/bin
figures-compiled: $(BUILT)  ## the same for what is the core's, compiled
	$(call keep,figures_compiled.md,bench.figures $(if $(TRACE),--trace $(TRACE)) $(or $(FIGURES),$(OF_CORE)),$(FIGURES))

kueue: $(READY)         ## run the load of Kueue's performance test in simulated time
	$(call keep,kueue.md,bench.kueue)

growth: $(READY)        ## measure how times grow; GROWTH="--waiting 100000 --limit 20" is shorter
	$(call keep,growth.md,bench.growth $(GROWTH))

curves: $(CURVES)       ## draw what `make bench growth` has measured into docs/performance/
	@$(MEASURE) bench.pictures $(PICTURES)

profile: $(READY)       ## sample where the time goes
	$(call keep,profile.md,bench.hotspots)

performance: bench batch batch-torque batch-lsf kueue growth curves profile figures figures-compiled load \
    start-time takeover document  ## all that docs/performance.md shows

docs: $(SITE)           ## build the documentation as a site, into build/site; fails on links that lead nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir build/site

findings: $(READY)      ## write docs/findings.md from the checker's table of codes
	$(BIN)/python -m wnodes_engine.catalogue > docs/findings.md

document: $(READY)      ## paste what has been measured into docs/performance.md
	@$(MEASURE) bench.document

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "WNoDeS needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); .ci/python-venv && $(PYTHON) -m venv $(VENV); }
	@echo "setting up $(VENV) (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[daemon,openstack,test,dev]'
	@touch $@

$(BUILT): pyproject.toml $(shell find engine schemas daemon backends -name '*.py' -o -name '*.json' -o -name '*.lark')
	@$(PYTHON) -m venv $(FAST)
	@echo "compiling the core into $(FAST) ..."
	@HATCH_BUILD_HOOKS_ENABLE=1 $(FAST)/bin/pip install --quiet --disable-pip-version-check '.[daemon,test]'
	@touch $@

$(PEERS): $(READY)
	@echo "installing the engines that are measured beside ours (once) ..."
	@PYTHONPATH=tests $(BIN)/python -m bench.peers.install
	@touch $@

$(API): $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[api]'
	@touch $@

$(SITE): $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(CURVES): $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[curves]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
