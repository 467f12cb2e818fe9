"""This installation as a wheel, so that a board runs the very same code.

The packages are pure Python, so a wheel is a zip of their files and three small ones beside them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib import metadata

from edge_passd.errors import BadInput
from edge_passd.remote.installed import package_files

DISTRIBUTION = "edge-passd"

_WHEEL = "Wheel-Version: 1.0\nGenerator: edge-passd\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold


def installation() -> metadata.Distribution:
    """The metadata of this edge-passd; BadInput if it runs without being installed."""
    for found in metadata.distributions(name=DISTRIBUTION):
        return found
    raise BadInput("this edge-passd is not installed, only imported; `pip install .` in its folder")


def build_wheel() -> tuple[str, bytes]:
    """Name and content; the same installation gives the same bytes."""
    found = installation()
    stem = f"edge_passd-{found.version}"
    content = {name: path.read_bytes() for name, path in package_files().items()}
    info = f"{stem}.dist-info"
    # An installation from a source tree names its metadata otherwise.
    for name, texts in {
        "METADATA": ("METADATA", "PKG-INFO"),
        "entry_points.txt": ("entry_points.txt",),
    }.items():
        text = next(filter(None, map(found.read_text, texts)), "")
        content[f"{info}/{name}"] = text.encode()
    content[f"{info}/WHEEL"] = _WHEEL.encode()
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content.items()]
    content[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    return f"{stem}-py3-none-any.whl", _zip(content)


def _zip(content: dict[str, bytes]) -> bytes:
    """Stored: what would compress is small, and compressors differ from machine to machine."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return file.getvalue()


def _digest(data: bytes) -> str:
    """As RECORD wants it."""
    digest = hashlib.sha256(data).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
