"""NAME.passd: one file with all that a board needs to run a compiled model."""

from edge_passd.bundle.archive import Bundle, read_bundle, read_manifest, write_bundle
from edge_passd.bundle.manifest import FileRecord, Manifest, TargetInfo
from edge_passd.bundle.plan import CudaPlan, Image, Launch, Plan

__all__ = [
    "Bundle",
    "CudaPlan",
    "FileRecord",
    "Image",
    "Launch",
    "Manifest",
    "Plan",
    "TargetInfo",
    "read_bundle",
    "read_manifest",
    "write_bundle",
]
