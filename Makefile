# Set-up needs Python 3.11+, Node 20+ and the package registries; Terraform is fetched if it is not on PATH.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
CHECKOV := $(VENV)/checkov
CHECKOV_READY := $(CHECKOV)/.ready
PEERS := $(VENV)/peers
PEERS_READY := $(PEERS)/.ready

.PHONY: help demo test test-faults check lint types docs bench lock clean setup

help:                 ## List the targets.
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)       ## Make the virtual environment.

$(READY): requirements.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlops-kit needs Python 3.11 or later, this is " + sys.version)'
	@node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null || { echo "mlops-kit needs Node 20 or later on PATH: CDKTF synthesizes with it." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes bootstrap.lock requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m mlops_kit.local.terraform_download
	@touch $@

$(NODE_READY): package-lock.json package.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(CHECKOV_READY): checkov.lock | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(CHECKOV)
	$(BIN)/uv pip sync --quiet --python $(CHECKOV)/bin/python --require-hashes --only-binary :all: checkov.lock
	@touch $@

$(PEERS_READY): benchmarks/peers.lock | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(PEERS)/bin/python --require-hashes benchmarks/peers.lock
	@touch $@

demo: $(READY)        ## Tell the whole story on the local cloud.
	$(BIN)/mlops-kit demo

test: $(READY) $(NODE_READY) $(CHECKOV_READY)  ## Run every test.
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder $(PYTEST_ARGS)

test-faults: $(READY) ## Disturb data sets and promotions at every call in every way, kill them, tamper with what they read.
	$(BIN)/python -m pytest -n 2 -q --every-fault tests/faults
	@$(BIN)/python -m tests.faults_promotion

lint: $(READY)        ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)       ## Check types.
	$(BIN)/mypy

docs: $(READY)        ## Check that generated documentation is current and that links work.
	$(BIN)/python -m docs.check

check: lint types docs test  ## Lint, types, docs and tests. CI runs this, and then test-faults.

bench: $(READY) $(PEERS_READY)  ## Measure, print a table, write benchmarks/results.json.
	$(BIN)/python -m benchmarks.datasets
	$(BIN)/python -m benchmarks.promotion
	$(BIN)/python -m benchmarks.synth

lock: $(READY)        ## Renew the locks from pyproject.toml.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 bootstrap.in -o bootstrap.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --all-extras --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 benchmarks/peers.in -o benchmarks/peers.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --only-binary :all: --python-version 3.11 checkov.in -o checkov.lock

clean:                ## Stop the local cloud and remove everything that was made.
	-test ! -x $(BIN)/mlops-kit || $(BIN)/mlops-kit local down
	rm -rf $(VENV) node_modules cdktf.out .mlops-kit .pytest_cache .mypy_cache .ruff_cache dist build *.egg-info
