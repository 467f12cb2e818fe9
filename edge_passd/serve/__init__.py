"""The live view: a small web page with the annotated stream and its figures (extra `live`)."""

from edge_passd.serve.access import is_loopback
from edge_passd.serve.options import ServeOptions, new_token
from edge_passd.serve.server import live_view

__all__ = ["ServeOptions", "is_loopback", "live_view", "new_token"]
