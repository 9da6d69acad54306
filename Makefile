# One environment (.venv), filled in two steps: what the demo needs, and what tests and lint need.
# Stamp files remember each step, so that a second call installs nothing.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo debate test lint bench figures matrix mutate proofs clean

PYTHON ?= python3
PROFILE ?= quick
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -qq --constraint constraints.txt
MATRIX := .venv-matrix
MATRIX_INSTALL := $(MATRIX)/bin/python -m pip install --disable-pip-version-check -qq --constraint constraints-matrix.txt
COQ_PACKAGES := coq libcoq-mathcomp-ssreflect libcoq-mathcomp-algebra \
	libcoq-mathcomp-algebra-tactics libcoq-mathcomp-analysis

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20
	@echo "Another interpreter, before .venv exists: make PYTHON=python3.12 test"
	@echo "A part of the tests: make test PYTEST_ARGS='-k exact -x'"

demo: $(VENV)/.installed-experiments ## the debate's headline claims: verdicts and figures, within 3 minutes, no torch
	$(BIN)/python -m experiments debate --headline --profile $(PROFILE)
	@echo "Figures: $(CURDIR)/figures    Records: $(CURDIR)/results    The whole debate: make debate"

test: $(VENV)/.installed-dev $(if $(wildcard proofs/_CoqProject),proofs) ## run all tests (and proofs, where there are any)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## ruff, pyright, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

mutate: $(VENV)/.installed-dev ## change one operator at a time in the estimators: do laws and tests notice?
	$(BIN)/python -m tests.mutation

bench: $(VENV)/.installed-dev ## measure speed and memory
	@set -e; for file in benchmarks/[a-z]*.py; do echo "$$file"; $(BIN)/python "$$file"; done

debate: $(VENV)/.installed-neural ## the whole debate, neural tiers included: every claim, its verdict, its figure
	$(BIN)/python -m experiments debate --profile $(PROFILE)
	@echo "Figures: $(CURDIR)/figures    Records: $(CURDIR)/results"

figures: $(VENV)/.installed-experiments ## redraw every figure from recorded results
	@set -e; names=$$($(BIN)/python -m experiments list --json \
		| $(BIN)/python -c 'import json, sys; print(*(e["name"] for e in json.load(sys.stdin)))'); \
	for name in $$names; do $(BIN)/python -m experiments draw "$$name" --profile $(PROFILE); done

matrix: $(MATRIX)/.installed ## judge verl, trl, torchtune, trinity-rft and polgrad: results/matrix.json, figures/matrix.pdf
	@mkdir -p results figures
	$(MATRIX)/bin/bandit-rlhf matrix --json --plot figures/matrix.pdf > results/matrix.json || [ $$? = 1 ]
	@echo "Verdicts: $(CURDIR)/results/matrix.json    Figure: $(CURDIR)/figures/matrix.pdf    What they mean: docs/matrix.md"

proofs: ## check the Coq proofs (installs Coq where it may)
	@if command -v coqc >/dev/null && dpkg -s $(COQ_PACKAGES) >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $(COQ_PACKAGES); \
	fi
	@if command -v coqc >/dev/null; then \
		cd proofs && coq_makefile -f _CoqProject -o Makefile.coq && $(MAKE) -f Makefile.coq -j$$(nproc); \
	else \
		echo "Proofs skipped: coqc is not on the path, and installing it takes root and apt-get. Install: $(COQ_PACKAGES)"; \
	fi

clean: ## remove caches and build products; .venv, results/ and figures/ stay
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find bandit_rlhf experiments benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "PYTHON is '$(PYTHON)', which is not on the path, but should be Python 3.11 or newer. Try: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:3]; v >= (3, 11) or sys.exit("PYTHON is $(PYTHON) (%d.%d.%d), but should be 3.11 or newer. Try: make PYTHON=/path/to/python3.11 ..." % v)'
	"$(PYTHON)" -m venv $(VENV)
	@touch $@

comma := ,

# The build backend is installed first, from the same pins, so that nothing unpinned takes part.
define install
	@echo "Installing bandit-rlhf[$(1)] into $(VENV)"
	@$(PIP_INSTALL) hatchling editables
	@$(PIP_INSTALL) --no-build-isolation --editable ".[$(1)]"
	@touch $@
endef

$(VENV)/.installed-experiments: $(VENV)/.created pyproject.toml constraints.txt
	$(call install,experiments)

$(VENV)/.installed-neural: $(VENV)/.created pyproject.toml constraints.txt
	$(call install,experiments$(comma)neural)

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(call install,dev)

# Other people's libraries have an environment of their own, which tests and lint never need. torch
# comes first; where pip would bring the one for CUDA, gigabytes of it, nothing is installed. verl and
# trinity-rft come without what they require: what their losses need of it is named here.
$(MATRIX)/.installed: pyproject.toml constraints-matrix.txt
	"$(PYTHON)" -m venv $(MATRIX)
	@! $(MATRIX)/bin/python -m pip install --dry-run --disable-pip-version-check --constraint constraints-matrix.txt torch 2>&1 \
		| grep -qi nvidia || { echo "pip would install torch for CUDA, but should install its build for the CPU. Name its index: PIP_EXTRA_INDEX_URL=... make matrix" >&2; exit 1; }
	@echo "Installing other libraries into $(MATRIX)"
	@$(MATRIX_INSTALL) torch
	@$(MATRIX_INSTALL) hatchling editables polgrad torchtune torchao trl
	@$(MATRIX_INSTALL) codetiming datasets hydra-core orjson peft ray tensordict transformers
	@$(MATRIX_INSTALL) --no-deps verl trinity-rft
	@$(MATRIX_INSTALL) --no-build-isolation --editable .
	@touch $@
