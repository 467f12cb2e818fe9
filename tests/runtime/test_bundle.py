from __future__ import annotations

import errno
import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_bundles import MANIFEST, PLAN, TARGETS, elf, files, idle_bundle
from hypothesis import given
from hypothesis import strategies as st

from edge_passd.bundle import Bundle, Manifest, read_bundle, write_bundle
from edge_passd.errors import BadInput

Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return idle_bundle(tmp_path_factory.mktemp("bundle") / "whole.passd")


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as error:
        read_bundle(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def entries(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, content: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def test_what_is_written_is_read(whole: Path) -> None:
    bundle = read_bundle(whole)
    assert bundle.files == files()
    assert bundle.manifest.files["constants.bin"].bytes == 64
    assert replace(bundle.manifest, files={}) == MANIFEST


def test_the_archive_is_stored_with_its_manifest_first(whole: Path) -> None:
    with zipfile.ZipFile(whole) as archive:
        assert archive.namelist()[0] == "manifest.json"
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(archive.read("manifest.json"))["schema"] == 1


def test_the_same_content_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.passd"
    write_bundle(again, MANIFEST, dict(reversed(files().items())))
    assert again.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("manifest", "content", "complaint"),
    [
        (MANIFEST, {**files(), "../evil": b""}, "'../evil' is no plain file name"),
        (MANIFEST, {**files(), "manifest.json": b"{}"}, "twice"),
        (MANIFEST, {PLAN.library: elf("aarch64")}, "the plan names constants.bin"),
        (replace(MANIFEST, int8_share=97.0), files(), "'int8_share' must be"),
        (replace(MANIFEST, target=TARGETS["x86_64"]), files(), "model.so is for aarch64"),
    ],
    ids=["escape", "manifest twice", "missing", "bad field", "other machine"],
)
def test_nothing_is_written_that_would_be_refused(
    manifest: Manifest, content: Entries, complaint: str, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "old.passd"
    path.write_bytes(whole.read_bytes())
    with pytest.raises(BadInput, match=complaint):
        write_bundle(path, manifest, content)
    assert [each.name for each in tmp_path.iterdir()] == ["old.passd"]
    assert path.read_bytes() == whole.read_bytes()


def test_a_full_disk_leaves_what_was_there(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.passd"
    path.write_bytes(whole.read_bytes())
    write = zipfile.ZipFile.writestr

    def fails(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, data: Any) -> None:
        if entry.filename == "model.so":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(archive, entry, data)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fails)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(path, MANIFEST, files())
    assert [each.name for each in tmp_path.iterdir()] == ["old.passd"]
    assert path.read_bytes() == whole.read_bytes()


def changed(content: Entries, **values: Any) -> Entries:
    """With other values in the manifest."""
    manifest = {**json.loads(content["manifest.json"]), **values}
    return {**content, "manifest.json": json.dumps(manifest).encode()}


def without(content: Entries, name: str) -> Entries:
    return {key: value for key, value in content.items() if key != name}


def relabelled(content: Entries) -> Entries:
    """A library for another machine, and a manifest whose sums are right for it."""
    library = elf("x86_64")
    records = json.loads(content["manifest.json"])["files"]
    records["model.so"]["sha256"] = hashlib.sha256(library).hexdigest()
    return changed({**content, "model.so": library}, files=records)


CONTENTS: dict[str, tuple[Callable[[Entries], Entries], str]] = {
    "no manifest": (lambda e: without(e, "manifest.json"), "does not begin with manifest.json"),
    "manifest last": (
        lambda e: {**without(e, "manifest.json"), "manifest.json": e["manifest.json"]},
        "does not begin with manifest.json",
    ),
    "newer": (lambda e: changed(e, schema=2), "schema 2, this edge-passd reads 1; install a newer"),
    "older": (lambda e: changed(e, schema=0), "schema 0, this edge-passd reads 1; compile the"),
    "no schema": (lambda e: changed(e, schema="1"), "'schema' must be a whole number"),
    "no json": (lambda e: {**e, "manifest.json": b"{"}, "broken manifest"),
    "not utf-8": (lambda e: {**e, "manifest.json": b'{"schema": "\xff"}'}, "broken manifest"),
    "too deep": (lambda e: {**e, "manifest.json": b"[" * 100_000}, "broken manifest"),
    "foreign json": (lambda e: {**e, "manifest.json": b"[1]"}, "not a JSON object"),
    "extra file": (lambda e: {**e, "more.so": b"x"}, "more.so does not belong there"),
    "missing file": (lambda e: without(e, "model.so"), "model.so is missing"),
    "other size": (lambda e: {**e, "model.so": b"x"}, "model.so has 1 bytes, not 200"),
    "other bytes": (
        lambda e: {**e, "constants.bin": bytes(64)}, "the sha256 of constants.bin is another",
    ),
    "parent folder": (lambda e: {**e, "../x": b"x"}, r"'../x' is no plain file name"),
    "absolute": (lambda e: {**e, "/x": b"x"}, "'/x' is no plain file name"),
    "folder": (lambda e: {**e, "lib/x": b"x"}, "'lib/x' is no plain file name"),
    "backslash": (lambda e: {**e, "..\\x": b"x"}, "is no plain file name"),
    "drive": (lambda e: {**e, "C:x": b"x"}, "is no plain file name"),
    "dots": (lambda e: {**e, "..": b"x"}, "'..' is no plain file name"),
    "control": (lambda e: {**e, "a\x1b[2J\n": b"x"}, "is no plain file name"),
    "relabelled": (relabelled, "model.so is for x86_64, its manifest says aarch64"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_content_that_breaks_the_contract_is_refused(
    name: str, whole: Path, tmp_path: Path
) -> None:
    change, complaint = CONTENTS[name]
    assert complaint in refusal(pack(tmp_path / "bad.passd", change(entries(whole))))


def test_a_name_that_is_there_twice_is_refused(whole: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "twice.passd", entries(whole))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("model.so", b"another")
    assert "a file is there twice" in refusal(path)


def test_nothing_is_inflated(whole: Path, tmp_path: Path) -> None:
    bomb = {**entries(whole), "zeros": bytes(50_000_000)}
    path = pack(tmp_path / "bomb.passd", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    assert "is not stored as it is" in refusal(path)


def test_sizes_that_the_archive_cannot_hold_are_refused_unread(whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    sizes = data.index(b"PK\1\2") + 20  # in the directory's first entry: packed and unpacked
    data[sizes : sizes + 8] = (1 << 30).to_bytes(4, "little") * 2
    path = tmp_path / "giant.passd"
    path.write_bytes(data)
    assert "claim to be larger than itself" in refusal(path)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda whole: b"", "0 bytes"),
        (lambda whole: whole[:-1], "no bundle, or cut short"),
        (lambda whole: whole[: len(whole) // 2], "no bundle, or cut short"),
        (lambda whole: b"this is no bundle\n" * 9, "no bundle, or cut short"),
        (lambda whole: whole[:300] + whole[301:], "damaged"),
    ],
    ids=["empty", "last byte", "half", "text", "a byte lost"],
)
def test_a_damaged_file_is_refused(
    damage: Callable[[bytes], bytes], complaint: str, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.passd"
    path.write_bytes(damage(whole.read_bytes()))
    assert complaint in refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.passd")
    assert "is not a file" in refusal(tmp_path)


BYTE = st.binary(min_size=1, max_size=1)
PLACE = st.floats(0, 1, exclude_max=True)
EDITS = {
    "set": lambda data, at, byte: data[:at] + byte + data[at + 1 :],
    "insert": lambda data, at, byte: data[:at] + byte + data[at:],
    "delete": lambda data, at, byte: data[:at] + data[at + 1 :],
    "cut": lambda data, at, byte: data[:at],
    "extend": lambda data, at, byte: data + byte * (at % 50),
    "double": lambda data, at, byte: data + data[at:],
}


def outcome(path: Path) -> Bundle | str:
    try:
        return read_bundle(path)
    except BadInput as error:
        return f"refused in {'many lines' if chr(10) in str(error) else 'one line'}"


@given(st.lists(st.tuples(st.sampled_from(sorted(EDITS)), PLACE, BYTE), min_size=1, max_size=3))
def test_any_damage_is_refused_or_changes_nothing(
    whole: Path,
    tmp_path_factory: pytest.TempPathFactory,
    edits: list[tuple[str, float, bytes]],
) -> None:
    data = whole.read_bytes()
    for kind, at, byte in edits:
        data = EDITS[kind](data, int(at * len(data)), byte)
    path = tmp_path_factory.getbasetemp() / "fuzzed.passd"
    path.write_bytes(data)
    assert outcome(path) in (read_bundle(whole), "refused in one line")
