"""Validate manifests against Kubernetes' schemas: `validate.py VERSION… < manifests.json`. Runs in `.venv-chart`.

Prints a line for each fault, and for each kind that Kubernetes itself does not have.
"""

import functools
import json
import sys

from kubernetes_validate import SchemaNotFoundError, ValidationError, utils

utils.schema_contents = functools.cache(utils.schema_contents)  # otherwise it reads 3 MB for each manifest


def main() -> None:
    manifests = json.load(sys.stdin)
    for version in sys.argv[1:]:
        for name, manifest in manifests.items():
            try:
                utils.validate(manifest, version, strict=True)
            except SchemaNotFoundError:
                sys.stdout.write(f"unknown {manifest['apiVersion']} {manifest['kind']}\n")
            except ValidationError as error:
                sys.stdout.write(f"{version} {name} {manifest['kind']}: {error.message} at {list(error.path)}\n")


if __name__ == "__main__":
    main()
