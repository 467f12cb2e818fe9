"""Capture, inference and output side by side; `pump.pump` puts them together."""
