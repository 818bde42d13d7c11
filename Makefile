# PYTHON is an environment with the test extra: make check PYTHON=.venv/bin/python
PYTHON ?= python3

.PHONY: check test format readme

check:  ## everything .ci/run checks
	.ci/check $(PYTHON)

test:
	$(PYTHON) -m pytest

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

readme:  ## the table of rules in README.md
	$(PYTHON) .ci/readme.py README.md
