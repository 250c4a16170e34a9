"""Measurements that docs/benchmarks.md holds; each is a command: `python -m bench.builder`."""
