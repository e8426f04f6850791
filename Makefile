# Two commands: `make demo` shows what Suffrage does, `make test` checks that it does it.
.PHONY: demo test lint types tests fast docs gpu-check clean
.SUFFIXES:
.DEFAULT_GOAL := help
# Processes that share the tests.
WORKERS ?= 2

help:
	@echo "make demo   set up and run the quickstart: survey, training, evaluation, report"
	@echo "make test   set up and run lint, types and tests"
	@echo "make fast   the tests that need neither long nor a browser, PostgreSQL or a real model"
	@echo "make docs   the documentation as a site, in build/site"
	@echo "make gpu-check   every method for a few steps on this machine's GPU"
	@echo "make clean  remove the environment and the quickstart's results, and say how large they were"

.venv/.demo: pyproject.toml constraints.txt scripts/setup
	@scripts/setup demo
	@touch $@

.venv/.dev: pyproject.toml constraints.txt scripts/setup
	@scripts/setup dev
	@touch $@ .venv/.demo

demo: .venv/.demo
	@.venv/bin/suffrage run examples/quickstart.yaml
	@echo
	@echo "Next:"
	@echo "  . .venv/bin/activate         puts the command suffrage on this shell's path"
	@echo "  suffrage profile examples/quickstart.yaml liberals --against conservatives"
	@echo "  suffrage --help"

test: lint types tests

lint: .venv/.dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/vulture
	.venv/bin/python scripts/check_words.py

types: .venv/.dev
	.venv/bin/mypy

tests: .venv/.dev
	.venv/bin/pytest -n $(WORKERS)

fast: .venv/.dev
	.venv/bin/pytest -n $(WORKERS) -m "not slow and not browser and not postgres and not real_model"

# The documentation as a site, in build/site; a broken link or an unknown page is an error.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet

.venv/.docs: .venv/.dev mkdocs.yml
	.venv/bin/python scripts/watch_pip.py "What the site needs" 30 install -c constraints.txt -e ".[docs]"
	@touch $@

gpu-check: .venv/.demo
	.venv/bin/python scripts/gpu_check.py --json gpu-check.json

clean:
	@du -sh .venv runs/quickstart 2>/dev/null || echo "Nothing to remove."
	rm -rf .venv runs/quickstart
