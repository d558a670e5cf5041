# Two commands matter: `make app` and `make test`. Both make .venv when it is missing or outdated.

VENV ?= .venv
NEWEST ?= .venv-newest
PYTHON ?=
PORT ?= 8501
WORKERS ?= 2
ARGS ?=
DATA = $(or $(SPLICEDVAE_DATA),../shared/data)
PY = $(VENV)/bin/python

export VENV PYTHON

.DEFAULT_GOAL := help
.PHONY: help app test test-newest lint docs demo models tables clean environment test-environment

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s%s\n", $$1, $$2}' Makefile
	@printf '%s\n' '' 'PYTHON=python3.12 chooses the interpreter (3.11 to 3.13), PORT=8600 the port,' \
		'WORKERS=1 how many tests run at once, ARGS="-k ratio" goes to pytest.'

app: environment ## serve the dashboard on localhost:8501
	@$(PY) -m streamlit run app.py --server.port $(PORT)

# A file's tests stay in one worker, so that a model trained for them is trained once.
test: test-environment ## run every test
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# Newer than requirements.txt: what pip resolves today within the ranges of pyproject.toml.
test-newest: VENV = $(NEWEST)
test-newest: ## run every test on the newest versions allowed (PYTHON=python3.13)
	@sh .ci/environment.sh newest
	@$(PY) --version
	@$(PY) -m pip freeze --exclude-editable | grep -iE '^(torch|scvi-tools|anndata|scanpy|scvelo|numpy|pandas|scipy|zarr|streamlit)=='
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

docs: test-environment ## build the documentation into build/docs, warnings are errors
	@$(PY) -m sphinx -q -W --keep-going -b html docs build/docs

lint: test-environment ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

demo: environment ## make the demo run anew
	rm -rf splicedvae/demo
	@$(VENV)/bin/splicedvae demo --out splicedvae/demo

models: environment ## train the bundled models anew, from the counts in SPLICEDVAE_DATA
	@GOMP_SPINCOUNT=1000 $(PY) -m splicedvae.pipeline.bundle --data "$(DATA)"

tables: environment ## make the shipped tables of genes anew, from the tables in SPLICEDVAE_DATA
	@$(PY) -m splicedvae._core.build_orthologs --data "$(DATA)"
	@$(PY) -m splicedvae._core.build_gene_features --data "$(DATA)"

environment: ## make or mend .venv
	@sh .ci/environment.sh app

test-environment: ## the same with the test tools
	@sh .ci/environment.sh tests

clean: ## remove .venv, caches and build products
	rm -rf $(VENV) $(NEWEST) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
