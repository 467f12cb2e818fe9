"""Inference engines: one file each, looked up in `table`."""
