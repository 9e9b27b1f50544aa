"""Registries: whether an image exists, by the OCI distribution spec.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""
