"""Benchmarks on other machines, over ssh."""
