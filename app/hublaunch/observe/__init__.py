"""WHAT WATCHES: metrics, audit and traces. The core, the Hub's client and the web do not know who listens."""
