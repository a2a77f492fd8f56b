"""Benchmarks: CPU and bytes per item, medians of several runs, never part of the tests."""
