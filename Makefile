# PYTHON is an environment with the test extra: make check PYTHON=.venv/bin/python
PYTHON ?= python3

.PHONY: check test format readme speed

check:  ## everything .ci/run checks
	.ci/check $(PYTHON)

test:
	$(PYTHON) -m pytest

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

# PEERS is the Python of an environment with the other tools: see benchmarks/README.md
speed:  ## measures, and writes the table of speed in README.md
	$(PYTHON) benchmarks/lint.py --json benchmarks/lint.json $(if $(PEERS),--peers-python $(PEERS))
	$(PYTHON) .ci/readme.py README.md

readme:  ## the tables in README.md
	$(PYTHON) .ci/readme.py README.md
