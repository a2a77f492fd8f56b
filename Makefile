# RouterFleet. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := proto services/common services/poller services/writer services/firmware services/gateway services/simulator services/cli operator
PROTO := proto/fleet/v1/events.proto
TEST_WORKERS ?= 2

help: ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Create .venv with every pinned dependency and the packages

$(VENV)/.installed: requirements.lock $(addsuffix /pyproject.toml,$(PACKAGES))
	@tools/setup-venv "$(VENV)" $(PACKAGES)
	@touch $@

demo: setup ## Run the whole system here: 101 simulated routers, all services, a live page
	@$(BIN)/routerfleet demo $(ARGS)

test: setup ## Run every test of this machine's tier (under 10 minutes)
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup $(ARGS)

test-chart: setup ## Check the chart: golden renders, schema, alerts (needs helm; ARGS=--golden-update)
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) tests/chart $(ARGS)

test-cluster: setup ## The resource and the operator on the API server of KUBECONFIG (a test cluster)
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile tests/cluster --nats-image="$(NATS_IMAGE)" $(ARGS)

IMAGE_BUILD ?= docker build
IMAGE_LOAD ?= kind load docker-image
PYTHON_IMAGE ?= python:3.13-slim
NATS_IMAGE ?= nats:2
POSTGRES_IMAGE ?= postgres:15
images: setup ## Build all images and load them into a cluster (IMAGE_BUILD, IMAGE_LOAD, PYTHON_IMAGE)
	@$(BIN)/python tools/images.py --build="$(IMAGE_BUILD)" --load="$(IMAGE_LOAD)" --python-image="$(PYTHON_IMAGE)" $(ARGS)

E2E ?= tests/e2e
e2e: setup ## The whole system on the cluster of KUBECONFIG: images, helm install, failures, figures
	@$(BIN)/python -m pytest -xvs -p no:cacheprovider -o timeout=240 -o timeout_func_only=true --session-timeout=1500 $(E2E) \
	  --image-build="$(IMAGE_BUILD)" --image-load="$(IMAGE_LOAD)" --python-image="$(PYTHON_IMAGE)" \
	  --nats-image="$(NATS_IMAGE)" --postgres-image="$(POSTGRES_IMAGE)" $(ARGS)

lint: setup ## Style, layers, dependencies, contract lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/buf lint proto
	@for package in $(PACKAGES); do (cd $$package && $(CURDIR)/$(BIN)/deptry --no-ansi src >.deptry 2>&1 || { echo $$package; cat .deptry; rm .deptry; exit 1; }; rm .deptry) || exit 1; done

typecheck: setup ## basedpyright in pyright's strict mode over source and tests
	@$(BIN)/basedpyright --level error

generate: setup ## Make the generated files anew
	@$(BIN)/python tools/generate.py

verify-generated: generate ## Fail when a committed generated file differs
	@git diff --exit-code --stat -- proto/src/fleet_contracts/gen docs/settings.md docs/metrics.md docs/routerfleet.md charts/routerfleet

bench: setup ## Measure the figures, print a table, write .bench/results.json (ONLY=poller for a part)
	@PYTHONPATH=tests $(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

chaos: setup ## Kill, pause and cut everything at random; check the accounts (ARGS="--kills 100" for long)
	@PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

pictures: setup ## Make the README's pictures from a running demo (needs a Chromium)
	@PYTHONPATH=tests $(BIN)/python tools/pictures.py

lock: ## Pin all dependencies anew in requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" $(addprefix --no-emit-package ,fleet-contracts fleet-common fleet-poller fleet-writer fleet-firmware fleet-gateway fleet-simulator fleet-cli fleet-operator routerfleet-workspace) \
	  $(addsuffix /pyproject.toml,$(PACKAGES)) --group dev -o requirements.lock

clean: ## Remove the environment, caches and the demo's data
	@rm -rf $(VENV) .demo .bench .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup demo test test-chart test-cluster images e2e lint typecheck generate verify-generated bench chaos pictures lock clean
