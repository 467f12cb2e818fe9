"""Benchmarks: one row says how fast and how good one artefact is on one machine."""
