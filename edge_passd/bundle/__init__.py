"""NAME.passd: one file with all that a board needs to run a compiled model."""

from edge_passd.bundle.archive import Bundle, read_bundle, write_bundle
from edge_passd.bundle.manifest import FileRecord, Manifest, Plan, TargetInfo

__all__ = [
    "Bundle",
    "FileRecord",
    "Manifest",
    "Plan",
    "TargetInfo",
    "read_bundle",
    "write_bundle",
]
