# Two commands do all the set-up: `make demo` shows the whole walk, `make test` runs every test.

VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
OUT ?= .demo
RUN ?= runs/medversa-demo
WEIGHTS ?= medversa-demo
EVALUATION ?= .evaluation

.DEFAULT_GOAL := help
.PHONY: help demo train-demo evaluate test test-fast bench check format servers validators databases viewers clean

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/.runs: pyproject.toml constraints.txt deploy/install.sh
	./deploy/install.sh venv $(VENV) worker
	@touch $@

# All that programs need is among what tests need.
$(VENV)/.tests: pyproject.toml constraints.txt deploy/install.sh
	./deploy/install.sh venv $(VENV) dev
	@touch $(VENV)/.runs $@

servers validators databases viewers:
	@./deploy/install.sh $@

demo: $(VENV)/.runs servers ## Start Orthanc, node and worker; send studies; show what comes back (KEEP=1: stay up)
	$(BIN)/medversa-node demo --out $(OUT) $(if $(KEEP),--keep) $(foreach s,$(STUDIES),--studies $(s))

train-demo: $(VENV)/.runs ## Make the demonstration weights from seeds alone: some 90 minutes on two cores; runs on
	$(BIN)/medversa-node train demo --out $(RUN)

# Processes of one thread each: with two they wait for each other, and tests of the model take twice as long.
test test-fast: export OMP_NUM_THREADS = 1

test: $(VENV)/.tests servers validators databases viewers ## Install what the tests need and run them all
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-fast: $(VENV)/.tests ## Unit and contract tests only
	$(BIN)/python -m pytest -n $(JOBS) tests/unit tests/contract $(ARGS)

bench: $(VENV)/.tests servers ## Compare with DCMTK storescp, Orthanc, plain generation and dcmqi on this machine
	$(BIN)/python -m benchmarks.receive
	$(BIN)/python -m benchmarks.large_object
	$(BIN)/python -m benchmarks.index_queries
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.protocol
	$(BIN)/python -m benchmarks.result_objects

evaluate: $(VENV)/.runs ## Measure weights on held-out phantoms and rewrite the table in the README (WEIGHTS=…)
	$(BIN)/medversa-node evaluate phantoms --weights $(WEIGHTS) --out $(EVALUATION) --readme README.md

check: $(VENV)/.tests ## Format, lint, types, import layers, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.tests ## Format the code and sort its imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## Remove what the commands above made
	rm -rf $(VENV) $(OUT) $(EVALUATION) .bench build *.egg-info tests/viewers/node_modules
