#!/usr/bin/env bash
# Runs the Hub's contract on older releases, each in its own venv. Usage: run_versions.sh PYTHON
set -euo pipefail
for version in 4.1.6 5.0.0 5.5.4 6.0.0; do
  venv=.venv-hub-$version
  if [ ! -x "$venv/bin/jupyterhub" ]; then
    "$1" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "jupyterhub==$version"
  fi
  echo "JupyterHub $version"
  HUBLAUNCH_TEST_HUB_PYTHON=$PWD/$venv/bin/python .venv/bin/python -m pytest -q tests/contract
done
