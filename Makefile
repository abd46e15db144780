# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3
# Brings community.docker to controllers that reach no Ansible Galaxy.
ANSIBLE_BUNDLE := 14.5.0

VENV := build/venv
COLLECTIONS := build/collections
CONTROLLER := $(VENV)/.controller $(COLLECTIONS)/.ansible-$(ANSIBLE_BUNDLE)
TESTS := $(CONTROLLER) $(VENV)/.tests $(COLLECTIONS)/.compared-$(ANSIBLE_BUNDLE)
BENCH := $(TESTS) $(VENV)/.bench
PARTS := lint units modules sanity package molecule cluster
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PLAYBOOK = ansible-playbook -i playbooks/inventory/this_machine.yml \
  $(if $(HOST),-e registry_endpoint_host=$(HOST)) $(if $(filter 1,$(PURGE)),-e registry_server_purge_data=true) $(ARGS)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export LC_ALL := C.UTF-8
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: docs site matrix release help up down test bench $(PARTS) lab lab-down packages engine images clean

help: ## Show these commands
	@awk -F ':.*## ' '/^[^\t].*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(CONTROLLER) ## Make this machine a registry: HOST=name.or.address ARGS="ansible-playbook options"
	@$(PLAYBOOK) playbooks/site.yml

down: $(CONTROLLER) ## Remove what `make up` made, keep its data; PURGE=1 removes the data too
	@$(PLAYBOOK) playbooks/teardown.yml

test: $(TESTS) images ## Run every gate and every test but `make cluster`; parts: lint units modules sanity package molecule
	@python tests/run.py

$(PARTS): $(TESTS)
	@python tests/run.py $@

modules: packages engine
package: packages
molecule cluster: images

bench: $(BENCH) images ## Measure anew what docs/benchmarks.md says, or a part: ARGS="NAME ..."; ARGS=--help
	@PYTHONPATH=$(COLLECTIONS) python -m tests.bench.run $(ARGS)

lab: $(TESTS) images ## Boot the hosts of SCENARIO=default, and leave them up for use by hand
	@molecule create --scenario-name $(or $(SCENARIO),default)

lab-down: $(TESTS) ## Remove the hosts of SCENARIO=default
	@molecule destroy --scenario-name $(or $(SCENARIO),default)

docs: $(TESTS) ## Write the roles' READMEs from their argument_specs
	@python tools/role_readmes.py

site: $(TESTS) ## Build the documentation as a site in build/site/html, which opens without a network
	@python tools/site.py

matrix: $(VENV)/.matrix images ## Test other versions of ansible-core, Python and libraries, and say so in docs/support.md
	@python tests/matrix.py $(ARGS)

release: $(TESTS) build/importer/.made images ## Make the tarball of the commit in build/release, and prove it
	@python tools/release.py

packages:
	@tests/lab/packages.sh

engine: $(TESTS)
	@docker info >/dev/null 2>&1 || ansible-playbook tests/lab/engine.yml

images: packages engine
	@tests/lab/images.sh

clean: ## Remove what was generated: environments, caches, lab images' archives
	@rm -rf build .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache tests/output

$(VENV)/.controller: requirements.txt
	@echo "Making $(VENV) ..."
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Installing python3-venv$(if $(SUDO), with sudo) ..."; \
	  $(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
	    apt-get -qq install -y python3-venv >/dev/null; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install -qq --disable-pip-version-check -r $<
	@touch $@

$(VENV)/.tests: tests/requirements.txt $(VENV)/.controller
	@echo "Installing what the tests need ..."
	@$(VENV)/bin/pip install -qq --disable-pip-version-check -r requirements.txt -r $<
	@touch $@

$(VENV)/.bench: tests/bench/requirements.txt $(VENV)/.tests
	@echo "Installing what the benchmarks need ..."
	@$(VENV)/bin/pip install -qq --disable-pip-version-check -r requirements.txt -r tests/requirements.txt -r $<
	@touch $@

build/importer/.made: tools/requirements.txt | $(VENV)/.controller
	@echo "Installing Galaxy's importer ..."
	@$(PYTHON) -m venv --clear build/importer
	@build/importer/bin/pip install -qq --disable-pip-version-check -r $<
	@touch $@

$(VENV)/.matrix: $(TESTS)
	@$(VENV)/bin/pip install -qq --disable-pip-version-check uv
	@touch $@

$(COLLECTIONS)/.ansible-$(ANSIBLE_BUNDLE): tools/fetch_collections.py | $(VENV)/.controller
	@echo "Fetching collections ..."
	@rm -rf $(COLLECTIONS) && mkdir -p $(COLLECTIONS)/ansible_collections/stronghold
	@ln -s ../../../.. $(COLLECTIONS)/ansible_collections/stronghold/registry
	@$(VENV)/bin/python $< ansible==$(ANSIBLE_BUNDLE) $(COLLECTIONS) community.docker community.library_inventory_filtering_v1
	@touch $@

$(COLLECTIONS)/.compared-$(ANSIBLE_BUNDLE): $(COLLECTIONS)/.ansible-$(ANSIBLE_BUNDLE)
	@echo "Fetching the collections that the benchmarks compare with ..."
	@$(VENV)/bin/python tools/fetch_collections.py ansible==$(ANSIBLE_BUNDLE) $(COLLECTIONS) community.crypto community.general
	@touch $@
