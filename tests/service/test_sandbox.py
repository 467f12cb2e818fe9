"""That edge-passd gets by with the rights that its unit leaves it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import require_program

SANDBOX = Path(__file__).with_name("sandbox.py")

# Each prints what the kernel says of it.
FORBIDDEN = {
    "to mount": "libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)",
    "to be traced": "libc.ptrace(0, 0, None, None)",
    "to make memory executable": "libc.mprotect(page, 4096, 5)",
}
PROBE = """
import ctypes, errno, mmap
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
page = ctypes.c_void_p(libc.mmap(None, 4096, 3, 0x22, -1, 0))
result = {call}
print(result, errno.errorcode[ctypes.get_errno()])
"""


def sandboxed(*arguments: object) -> subprocess.CompletedProcess[str]:
    require_program("systemd-analyze")
    command = [sys.executable, SANDBOX, sys.executable, "-I", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    if "this kernel" in done.stderr:
        pytest.skip(done.stderr.strip())
    return done


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_sandbox_holds(what: str) -> None:
    done = sandboxed("-c", PROBE.format(call=FORBIDDEN[what]))
    assert done.stdout.split() in (["-1", "EPERM"], ["-1", "EACCES"]), done.stderr


def found(*model: object, photo: Path, folder: Path) -> list[dict]:
    lines = folder / "found.jsonl"
    done = sandboxed("-m", "edge_passd", "run", *model, "--source", photo, "--json", lines)
    assert done.returncode == 0, done.stderr
    return json.loads(lines.read_text())["detections"]


def test_onnxruntime_needs_no_more(photo_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (cat,) = found("--engine", "onnxruntime", photo=photo_file, folder=tmp_path)
    assert cat["label"] == "cat"


def test_a_bundle_needs_no_more(small_bundle: Path, photo_file: Path, tmp_path: Path) -> None:
    from edge_passd import Detector

    wanted = Detector(small_bundle).detect(photo_file).filter(0.4).to_dict()
    assert found(small_bundle, photo=photo_file, folder=tmp_path) == wanted


def test_openvino_writes_code(photo_file: Path) -> None:
    """Why MemoryDenyWriteExecute= is for bundles alone."""
    pytest.importorskip("openvino")
    done = sandboxed("-m", "edge_passd", "run", "--engine", "openvino", "--source", photo_file)
    assert done.returncode == 2
    assert "can't protect" in done.stderr
