# Everything a developer or an operator types. Each target sets up what it needs in .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help run test test-slow lint format messages bench sure screenshots lock clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY)  ## Start the demo: the whole product with sample outlets and a mailbox
	@$(BIN)/newsletter demo $(ARGS)

# Else each of the many processes compiles everything anew.
test test-slow: export PYTHONDONTWRITEBYTECODE :=

test: $(READY)  ## Run the tests
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

test-slow: $(READY)  ## Run the long ones: faults, and what needs PostgreSQL or Chromium
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow $(ARGS)

lint: $(READY)  ## Check style, types, the layers of the house and the translations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.catalogues check

messages: $(READY)  ## Take new and changed words into newsletter/translations, to be translated there
	$(BIN)/python -m tests.catalogues update

format: $(READY)  ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Measure, and write the tables of docs/performance.md
	$(BIN)/python -m benchmarks all

sure: lint test test-slow bench  ## Everything above, before something is called done

screenshots: $(READY)  ## Take the pictures in docs/screenshots/ (needs Chromium)
	$(BIN)/python -m tests.browser.screenshots docs/screenshots \
		article edition-mail edition-mail-images-off start public
	$(BIN)/python -m tests.browser.newsroom_pictures docs/screenshots

lock:  ## Renew requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url \
		--no-emit-find-links --group dev --upgrade pyproject.toml -o requirements.lock

clean:  ## Remove what was set up and built; the demo's data in var/ stays
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find benchmarks newsletter tests -name __pycache__ -prune -exec rm -rf {} +
