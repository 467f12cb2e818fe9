"""Bundles as files: a zip archive, stored, its manifest first."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from edge_passd.bundle.machine import GPU, elf_machine, ptx_target
from edge_passd.bundle.manifest import FileRecord, Manifest
from edge_passd.bundle.plan import Plan
from edge_passd.errors import BadInput
from edge_passd.fields import is_word
from edge_passd.files import replacing, require_file

Result = TypeVar("Result")

MANIFEST = "manifest.json"

_ENCRYPTED = 1  # a zip entry's flag


@dataclass(frozen=True)
class Bundle:
    """A bundle's content, all of it checked. files: by name, the manifest not among them."""

    manifest: Manifest
    files: Mapping[str, bytes]


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a bundle, whole or not at all; the same content gives the same bytes.

    `manifest.files` is computed here. Raises BadInput for what `read_bundle` would refuse.
    """
    records = {
        name: FileRecord(hashlib.sha256(content).hexdigest(), len(content))
        for name, content in sorted(files.items())
    }
    text = replace(manifest, files=records).to_json()
    _check_names([MANIFEST, *records], str(path))
    _check_code(Manifest.from_json(text, str(path)), files, str(path))
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_entry(MANIFEST), text)
        for name in records:
            archive.writestr(_entry(name), files[name])


def read_bundle(path: Path) -> Bundle:
    """Read and check a bundle; nothing of it is loaded or executed.

    Raises BadInput for a file that is missing, no bundle, cut short, of another schema, or that
    differs from its manifest in any name, size or sha256. Which machine it is for is another
    question: `machine.check_machine`.
    """
    return _open(path, _read)


def read_manifest(path: Path) -> Manifest:
    """What a bundle says about itself. Raises BadInput for what is no bundle, or a broken manifest.

    The other files are not looked at: before one is used, `read_bundle` checks all.
    """
    return _open(path, _read_manifest)


def _open(path: Path, read: Callable[[zipfile.ZipFile, Path], Result]) -> Result:
    require_file(path, "a .passd bundle")
    where = str(path)
    if not zipfile.is_zipfile(path):
        raise BadInput(
            f"{where} is no bundle, or cut short; copy it again or write one with "
            "`edge-passd compile`"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return read(archive, path)
    except BadInput:
        raise
    except Exception as error:  # what zipfile raises shares no base class but Exception
        raise _damaged(where, str(error) or type(error).__name__) from error


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    where = str(path)
    entries = archive.infolist()
    _check_names([entry.orig_filename for entry in entries], where)
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
            raise _damaged(where, f"{entry.filename} is not stored as it is")
    # Stored and apart, entries are no larger than the archive: nothing inflates in memory.
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise _damaged(where, "its files claim to be larger than itself")
    return Manifest.from_json(archive.read(MANIFEST), where)


def _read(archive: zipfile.ZipFile, path: Path) -> Bundle:
    where = str(path)
    manifest = _read_manifest(archive, path)
    entries = archive.infolist()
    sizes = {entry.filename: entry.file_size for entry in entries[1:]}
    if differing := sizes.keys() ^ manifest.files.keys():
        name = min(differing)
        how = f"{name} is missing" if name in manifest.files else f"{name} does not belong there"
        raise _damaged(where, how)
    for name, record in manifest.files.items():
        if sizes[name] != record.bytes:
            raise _damaged(where, f"{name} has {sizes[name]} bytes, not {record.bytes}")
    files = {name: archive.read(name) for name in manifest.files}
    for name, record in manifest.files.items():
        if hashlib.sha256(files[name]).hexdigest() != record.sha256:
            raise _damaged(where, f"the sha256 of {name} is another")
    _check_code(manifest, files, where)
    return Bundle(manifest, files)


def _check_names(names: list[str], where: str) -> None:
    if names[:1] != [MANIFEST]:
        raise BadInput(
            f"{where} is no bundle: it does not begin with {MANIFEST}; write one with "
            "`edge-passd compile`"
        )
    for name in names:
        if not is_word(name):
            raise _damaged(where, f"{name!r:.60} is no plain file name")
    if len(set(names)) < len(names):
        raise _damaged(where, "a file is there twice")


def _check_code(manifest: Manifest, files: Mapping[str, bytes], where: str) -> None:
    """A manifest may be wrong by mistake; compiled code says itself what it is for."""
    plan = manifest.plan
    if isinstance(plan, Plan):
        code = [(name, elf_machine, manifest.target.machine) for name in plan.libraries]
    else:
        code = [
            (each.file, elf_machine, GPU)
            if each.ptx_version is None
            else (each.file, ptx_target, f"{each.architecture} in PTX {each.ptx_version}")
            for each in plan.images
        ]
    for name, target_of, promised in code:
        found = target_of(files[name])
        if found != promised:
            raise BadInput(
                f"{where}: {name} is {f'for {found}' if found else 'no compiled code'}, its "
                f"manifest says {promised}; compile it again"
            )


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # its time is the fixed first day of 1980
    entry.external_attr = 0o644 << 16
    entry.create_system = 3  # Unix, on whichever system it is written
    return entry


def _damaged(where: str, how: str) -> BadInput:
    return BadInput(f"{where}: damaged ({how}); copy or compile it again")
