# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# For machines without ROS 2: everything comes from pip into .venv, ROS included.
# On a machine with ROS 2, colcon builds the package instead; see README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/setup-complete
# Programs about the environment, which are no part of it.
TOOLS := .tools
LOCKED := requirements/setup.txt requirements/without_dependencies.txt

# A sourced ROS 2, another virtual environment or pip's own settings for users would mix other
# builds of the same libraries with those in .venv.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONHOME
unexport PYTHONPATH RMW_IMPLEMENTATION ROS_DISTRO ROS_VERSION _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport PIP_PREFIX PIP_TARGET PIP_USER VIRTUAL_ENV

PIP := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGUMENTS)
UV_COMPILE := $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.10 \
  --generate-hashes --custom-compile-command 'make lock' --no-annotate

define CHECK_PYTHON
import platform, sys
version = sys.version.split()[0]
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit("make: $(PYTHON) is Python " + version + "; Python 3.10 to 3.13 is needed:"
             " name one with make PYTHON=python3.x")
if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
    sys.exit("make: this is " + platform.system() + " on " + platform.machine() + "; the ROS 2"
             " wheels are for Linux on x86_64: install ROS 2 here and build with colcon")
try:
    import ensurepip, venv
except ImportError:
    sys.exit("make: $(PYTHON) cannot make virtual environments: install python3-venv"
             " (sudo apt install python3-venv)")
endef
export CHECK_PYTHON

.PHONY: help setup demo test lint format lock audit sbom clean

help:
	@echo 'make setup   install everything into $(VENV)'
	@echo 'make demo    replay the bundled bag through the node; pictures and report in out/demo'
	@echo 'make test    run every test'
	@echo 'make lint    check the style and the types (make format puts the style right)'
	@echo 'make lock    choose new versions of everything that make setup installs'
	@echo 'make audit   look the installed versions up among known vulnerabilities'
	@echo 'make sbom    write the software bill of materials, out/sbom.json (CycloneDX)'
	@echo 'make clean   remove all that make has made, $(VENV) included'

setup: $(STAMP)

$(STAMP): Makefile setup.py pyproject.toml hier_seg_trainer/pyproject.toml $(LOCKED)
	@command -v '$(PYTHON)' >/dev/null || \
	  { echo 'make: no $(PYTHON): install python3, or name one with make PYTHON=...' >&2; exit 1; }
	@'$(PYTHON)' -c "$$CHECK_PYTHON"
	@echo 'Installing into $(VENV): about 5 GB, most of it PyTorch; a few minutes the first time.'
	@test -x $(BIN)/python || '$(PYTHON)' -m venv $(VENV)
	@$(PIP) --require-hashes --requirement requirements/setup.txt
	@$(PIP) --require-hashes --no-deps --no-build-isolation \
	  --requirement requirements/without_dependencies.txt
	@$(PIP) --no-deps --no-build-isolation --editable . --editable ./hier_seg_trainer
	@touch $@

demo: setup
	@$(BIN)/python demo/run_demo.py

test: setup
	@$(BIN)/python -m pytest $(PYTEST_ARGUMENTS) test hier_seg_trainer/tests

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(TOOLS)/bin/uv
	@$(UV_COMPILE) --no-emit-package hier-seg-ros --no-emit-package hier-seg-trainer \
	  --upgrade --output-file requirements/setup.txt requirements/setup.in
	@$(UV_COMPILE) --no-deps --upgrade \
	  --output-file requirements/without_dependencies.txt requirements/without_dependencies.in

audit: setup $(TOOLS)/bin/pip-audit
	@$(TOOLS)/bin/pip-audit --requirement requirements/setup.txt --no-deps --disable-pip --strict

sbom: setup $(TOOLS)/bin/cyclonedx-py
	@mkdir -p out
	@$(TOOLS)/bin/cyclonedx-py environment --output-reproducible --of JSON -o out/sbom.json \
	  $(BIN)/python
	@echo 'out/sbom.json'

$(TOOLS)/bin/uv: PACKAGE := uv
$(TOOLS)/bin/pip-audit: PACKAGE := pip-audit
$(TOOLS)/bin/cyclonedx-py: PACKAGE := cyclonedx-bom
$(TOOLS)/bin/%:
	@test -x $(TOOLS)/bin/python || '$(PYTHON)' -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGE)

clean:
	rm -rf $(VENV) $(TOOLS) build install log out *.egg-info hier_seg_trainer/src/*.egg-info
	rm -rf .coverage .coverage.* mutants .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
