#!/usr/bin/env bash
# Runs tests on older releases of JupyterHub, each in its own venv. Usage: run_versions.sh PYTHON TESTS...
set -euo pipefail
python=$1
shift
for version in 4.1.6 5.0.0 5.5.4 6.0.0; do
  venv=.venv-hub-$version
  if [ ! -x "$venv/bin/jupyterhub-idle-culler" ]; then
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      "jupyterhub==$version" "jupyterhub-idle-culler>=2,<3" "httpx>=0.28.1,<1"
  fi
  echo "JupyterHub $version"
  HUBLAUNCH_TEST_HUB_PYTHON=$PWD/$venv/bin/python .venv/bin/python -m pytest -q "$@"
done
