PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install check types test bench compare demo demo-stop clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

install: $(VENV)/.installed

# mypy wants a folder whose name is the package's: a link gives it one, whatever the checkout is called
.types/ctl:
	mkdir -p .types && ln -sfn .. .types/ctl

types: install .types/ctl
	cd .types && ../$(BIN)/python -m mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p ctl
	cd bench && MYPYPATH=../.types ../$(BIN)/python -m mypy --config-file ../pyproject.toml --explicit-package-bases \
		--cache-dir ../.mypy_cache/bench .

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory types

test: check
	$(BIN)/python -m pytest

# measured as installed, not as a checkout that every start has to look up
bench:
	$(PYTHON) -m venv .bench
	rm -rf build
	.bench/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	.bench/bin/python -m pip install --quiet --disable-pip-version-check .
	rm -rf build
	.bench/bin/python bench/run.py

# the corpus of state trees through a pip-installed Salt and through ctl: make compare SALT=path/to/venv
compare: install
	$(BIN)/python bench/compare.py $(if $(SALT),--salt $(SALT)) $(CASES)

demo: install
	$(BIN)/python bench/demo.py start

demo-stop:
	$(BIN)/python bench/demo.py stop

clean:
	rm -rf $(VENV) .bench .types .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
