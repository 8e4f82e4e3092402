# The two commands that do everything, their set-up included: `make exercise` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
QUICK := not (slow or slurm or browser)
# Parts whose tests are many and quick, and start few processes: `make test` measures them. FLOOR is in per cent.
MEASURED := core inputfile record report test_campaign.py
MEASURED_SOURCE := */campaign.py,*/core/*,*/inputfile/*,*/record/*,*/report/*
FLOOR := 88
IN_PARTS = PATH="$(BIN):$$PATH" CANDLE_TESTS_MEASURED="$(MEASURED)"
# Files of tests side by side: of the quick ones as many as there are CPUs, at most four; of all, always four, as those
# of clusters mostly wait. They start in the order in which tests/conftest.py mixes these with the others.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile
MIXED := --numprocesses 4 --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help exercise test test-quick test-other-slurm coverage lint docs site pictures benchmark libraries clean

help:
	@echo "make exercise   run the tutorial: a variational autoencoder, once and as a grid search"
	@echo "make test       lint, types and all tests"
	@echo "make test-quick the tests for daily work, in about three minutes on two cores"
	@echo "make test-other-slurm SUITE=sid  the tests on a cluster, with the SLURM of another Debian (root, on Debian)"
	@echo "make coverage   which lines and branches the quick tests reach"
	@echo "make docs       write again what is generated from the code (references of keywords, commands, contracts)"
	@echo "make site       the documentation as a site in site/; a link that leads nowhere is an error"
	@echo "make pictures   take the pictures of the documentation again, from a real run (needs Chromium)"
	@echo "make benchmark  measure again what docs/performance.md shows (on an idle machine, with SLURM)"
	@echo "make libraries  compare libraries in warm and cold trials (installs them in their own environment: 10 GB)"
	@echo "make clean      remove what these commands have set up"

exercise: $(VENV)/has-exercise
	@PATH="$(BIN):$$PATH" "$(BIN)/python" tools/run_tutorial.py

test: $(VENV)/has-test lint
	@"$(BIN)/coverage" erase
	@$(IN_PARTS) CANDLE_TESTS_REACH=1 "$(BIN)/python" -m pytest $(SIDE_BY_SIDE) -m measured $(addprefix tests/,$(MEASURED))
	@"$(BIN)/coverage" combine --quiet
	@"$(BIN)/coverage" report --include="$(MEASURED_SOURCE)" --fail-under=$(FLOOR)
	@$(IN_PARTS) "$(BIN)/python" -m pytest $(MIXED) -m "not measured"

test-quick: $(VENV)/has-test
	@PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest $(SIDE_BY_SIDE) -m "$(QUICK)"

SUITE ?= trixie
test-other-slurm: $(VENV)/has-test
	@tools/unpack_slurm.sh $(SUITE)
	@PATH="$(BIN):$$PATH" CANDLE_TESTS_SLURM=$(SUITE) "$(BIN)/python" -m pytest $(MIXED) -m slurm

# The commands that tests start are measured, too; `parallel` in pyproject.toml gives each its own file.
coverage: $(VENV)/has-test
	@"$(BIN)/coverage" erase
	@PATH="$(BIN):$$PATH" CANDLE_TESTS_COVERAGE=1 "$(BIN)/coverage" run -m pytest -m "$(QUICK)"
	@"$(BIN)/coverage" combine --quiet
	@"$(BIN)/coverage" report

lint: $(VENV)/has-lint
	@"$(BIN)/ruff" format --check .
	@"$(BIN)/ruff" check .
	@"$(BIN)/mypy"

benchmark: $(VENV)/has-test $(VENV)/peers/are-installed
	@PATH="$(BIN):$$PATH" "$(BIN)/python" benchmarks/startup.py 3 "$(CURDIR)/$(VENV)/peers/bin/python"
	@PATH="$(BIN):$$PATH" "$(BIN)/python" benchmarks/campaign_cost.py
	@PATH="$(BIN):$$PATH" "$(BIN)/python" benchmarks/makespan.py 3

libraries: $(VENV)/has-test $(VENV)/libraries/are-installed
	@"$(BIN)/python" tools/warm_libraries.py "$(CURDIR)/$(VENV)/libraries/bin/python"

docs: $(VENV)/has-lint
	@for page in keyword command contract; do "$(BIN)/python" "tools/$${page}_reference.py" --write || exit 1; done

site: $(VENV)/has-site
	@NO_MKDOCS_2_WARNING=1 "$(BIN)/mkdocs" build --strict

pictures: $(VENV)/has-test
	@"$(BIN)/python" tools/pictures.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "candle needs Python 3.10 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What an extra of pyproject.toml names, candle itself included.
$(VENV)/has-%: pyproject.toml | $(VENV)/bin/python
	"$(BIN)/python" -m pip install --quiet --editable '.[$*]'
	@touch $@

# In its own environment: the versions of libraries that others need are not ours to heed. But what the models
# import is the same in both.
$(VENV)/peers/are-installed: benchmarks/peers.txt | $(VENV)/bin/python
	"$(BIN)/python" -m venv $(VENV)/peers
	"$(BIN)/pip" freeze | grep -E '^(numpy|scikit-learn|scipy|torch)==' > $(VENV)/peers/same.txt
	$(VENV)/peers/bin/pip install --quiet --requirement benchmarks/peers.txt --requirement $(VENV)/peers/same.txt
	@touch $@

$(VENV)/libraries/are-installed: tools/warm_libraries.txt | $(VENV)/bin/python
	"$(BIN)/python" -m venv $(VENV)/libraries
	$(VENV)/libraries/bin/pip install --quiet --requirement tools/warm_libraries.txt
	@touch $@

clean:
	rm -rf $(VENV)
