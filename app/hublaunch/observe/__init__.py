"""Metrics, audit log and traces. The core, the Hub's client and the API do not know their listeners."""
