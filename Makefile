# What can be done here? `make help` lists it. Each target makes the virtual environment that it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(shell cksum pyproject.toml pytest_netbench/report/build_assets.py | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help bench test lint format drivers interop deep bench-framework clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,aws]'
	@rm -f $(VENV)/.installed-*
	@touch $@

bench: $(STAMP)  ## run the benchmarks on this machine: pytest benches/ (more arguments: ARGS="-m ping")
	$(BIN)/python -m pytest benches/ $(ARGS)

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest tests/ -m "not deep" $(ARGS)

lint: $(STAMP)  ## check style, types and the shape of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## rewrite the code as `make lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

drivers: $(STAMP)  ## build the real generator and drivers of netbench with cargo: TCP, or all four with ALL=1
	$(BIN)/python -m pytest_netbench.drivers.install $(if $(ALL),--all)

interop: $(STAMP)  ## bring aioquic's examples and build quic-go's endpoints, with which level interop is tried
	$(BIN)/python -m pytest_netbench.drivers.install --interop

deep: $(STAMP)  ## what takes longer than CI may: all seeds, all inputs, all combinations
	-$(BIN)/python -m pytest_netbench.drivers.install --interop
	$(BIN)/python -m pytest tests/ -m deep --timeout 3600 $(ARGS)

bench-framework: $(STAMP)  ## measure what this project's own code costs (QUICK=1 for fewer repeats)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python benches/framework/all.py $(if $(QUICK),--quick)

clean:  ## remove what these targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis netbench-results pytest_netbench/report/assets
