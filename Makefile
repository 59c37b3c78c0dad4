PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install check types test fuzz coverage bench swarm soak compare abuse demo demo-stop clean

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

# what fails is run once more by itself: a machine that is busy with something else may be too slow for a test of time
test: check
	$(BIN)/python -m pytest || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none

# the fuzz targets, guided by coverage: SECONDS=600 make fuzz TARGETS="yaml sls"
fuzz: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGETS)

# what speaks with peers: the tests must take 95 % of the branches of each file
PEERS := wire crypto handshake payload session publication hints
coverage: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python -m coverage run --branch --data-file=.coverage --include='common/*' -m pytest -q \
		$(PEERS:%=tests/common/test_%.py) tests/common/reference tests/fuzz
	for name in $(PEERS); do \
		$(BIN)/python -m coverage report --data-file=.coverage --show-missing --include="common/$$name.py" --fail-under=95 || exit 1; \
	done

# measured as installed, not as a checkout that every start has to look up; beside Salt: make bench SALT=path/to/venv,
# some rows only: make bench ROWS='ping client*' (bench/run.py --list names them)
bench:
	$(PYTHON) -m venv .bench
	rm -rf build
	.bench/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	.bench/bin/python -m pip install --quiet --disable-pip-version-check .
	rm -rf build
	.bench/bin/python bench/run.py $(if $(SALT),--salt $(SALT)) $(foreach row,$(ROWS),'$(row)')

# thousands of minions on one master, all on this machine: make swarm MINIONS='1000 5000'
swarm: install
	$(BIN)/python bench/swarm.py $(MINIONS)

# random faults on real daemons: make soak SCHEDULES=200 SECONDS=10 JOBS=2; goes on where it was stopped
soak: install
	$(BIN)/python -P -m ctl.tests.durability.soak --schedules $(or $(SCHEDULES),200) --seconds $(or $(SECONDS),10) \
		--jobs $(or $(JOBS),1) --first $(or $(FIRST),1)

# the corpus of state trees through a pip-installed Salt and through ctl: make compare SALT=path/to/venv
compare: install
	$(BIN)/python bench/compare.py $(if $(SALT),--salt $(SALT)) $(CASES)

# what hostile peers cost a real master, at full size: make abuse ROWS="B03 hellos"
abuse: install
	$(BIN)/python bench/abuse.py $(ROWS)

demo: install
	$(BIN)/python bench/demo.py start

demo-stop:
	$(BIN)/python bench/demo.py stop

clean:
	rm -rf $(VENV) .bench .soak .fuzz .coverage .types .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info
