"""Cameras of boards that are made of files and small programs, and devices behind a fake ioctl."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_passd.board.identity import JETSON, PC, RASPBERRY_PI
from edge_passd.doctor.cameras import check_cameras, look
from edge_passd.doctor.child import Outcome
from edge_passd.doctor.finding import BROKEN, MISSING, OK, OPTIONAL
from edge_passd.doctor.v4l2 import Device, read_device
from tests.board.conftest import Machine
from tests.doctor.conftest import by_name

Program = Callable[[Path, str, str], None]
WEBCAM = {"dev/video0": "", "sys/class/video4linux/video0/name": "HD Webcam C615\n"}
C615 = Device("HD Webcam C615", "uvcvideo", True, ("MJPG", "YUYV"))


def see(device: Device | None, problem: str = "") -> Callable[[Path], Outcome]:
    return lambda _: Outcome(device, problem)


@pytest.mark.parametrize(
    ("outcome", "state", "says", "cure"),
    [
        (see(C615), OK, "HD Webcam C615 (uvcvideo), MJPG YUYV: --camera 0", ""),
        (see(None, "[Errno 13] Permission denied: '/dev/video0'"), BROKEN, "no permission",
         "usermod -aG video"),
        (see(None, "[Errno 16] Device or resource busy"), BROKEN, "another program uses it",
         "fuser"),
        (see(None, "[Errno 19] No such device"), BROKEN, "No such device", "plug it in"),
        (see(None, "no answer within 5 s"), BROKEN, "no answer within 5 s", "plug it in"),
        (see(Device("unicam", "unicam", True, ())), MISSING, "nothing attached", ""),
    ],
)  # fmt: skip
def test_a_webcam(
    machine: Machine, outcome: Callable[[Path], Outcome], state: str, says: str, cure: str
) -> None:
    found = by_name(check_cameras(PC, machine("PC", dict(WEBCAM)), outcome))["/dev/video0"]
    assert found.state == state
    assert says in found.found
    assert cure in found.cure


def test_codecs_and_metadata_are_no_cameras(machine: Machine) -> None:
    codec = see(Device("bcm2835-codec", "bcm2835-codec", False, ()))
    (found,) = check_cameras(PC, machine("PC", dict(WEBCAM)), codec)
    assert (found.name, found.state) == ("V4L2 camera", OPTIONAL)


def test_a_machine_without_any(machine: Machine) -> None:
    (found,) = check_cameras(PC, machine("PC"))
    assert (found.name, found.state) == ("V4L2 camera", OPTIONAL)


@pytest.mark.parametrize(
    ("name", "line", "state", "says"),
    [
        ("rpicam-hello", "echo 'Available cameras'; echo '0 : imx708 [4608x2592 10-bit RGGB] (/x)'",
         OK, "imx708"),
        ("libcamera-hello", "echo 'No cameras available!'", OPTIONAL, "none"),
        ("rpicam-hello", "echo broken library >&2; exit 1", BROKEN, "broken library"),
        ("other", "", OPTIONAL, "no rpicam-apps"),
    ],
)  # fmt: skip
def test_a_raspberry_pi_s_camera_module(
    machine: Machine, program: Program, name: str, line: str, state: str, says: str
) -> None:
    root = machine("Pi 5")
    program(root, f"usr/bin/{name}", line)
    found = by_name(check_cameras(RASPBERRY_PI, root))["camera module"]
    assert (found.state, says in found.found) == (state, True), found


@pytest.mark.parametrize(
    ("line", "state"),
    [("echo active", OK), ("echo inactive", BROKEN), ("echo no systemd >&2; exit 1", MISSING)],
)
def test_a_jetson_s_camera_daemon(
    machine: Machine, program: Program, line: str, state: str
) -> None:
    root = machine("Orin Nano")
    program(root, "usr/bin/systemctl", line)
    found = by_name(check_cameras(JETSON, root))["nvargus-daemon"]
    assert found.state == state
    assert bool(found.cure) == (state != OK)


def test_what_is_no_video_device(tmp_path: Path) -> None:
    (tmp_path / "video0").write_text("no device")
    with pytest.raises(OSError, match=r"Inappropriate ioctl"):
        read_device(tmp_path / "video0")
    assert look(tmp_path / "video0").problem.startswith(f"[Errno {errno.ENOTTY}]")
    assert look(tmp_path / "video1").problem.startswith(f"[Errno {errno.ENOENT}]")


@pytest.mark.parametrize(
    ("all_nodes", "this_node", "formats"),
    [
        (0x84A00001, 0x04200001, ("YUYV", "MJPG")),  # a webcam's picture
        (0x84A00001, 0x04A00000, None),  # the same webcam's metadata
        (0x00000001, 0, ("YUYV", "MJPG")),  # a driver from before nodes had flags of their own
        (0x84204000, 0x04204000, None),  # a codec
    ],
)
def test_a_device_by_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    all_nodes: int, this_node: int, formats: tuple[str, ...] | None,
) -> None:  # fmt: skip
    def ioctl(descriptor: int, request: int, answer: bytearray) -> int:
        """As the kernel answers, byte for byte."""
        if request == 0x80685600:
            assert len(answer) == 104
            answer[:8], answer[16:28] = b"uvcvideo", b"HD Webcam\0xx"
            answer[84:88] = all_nodes.to_bytes(4, "little")
            answer[88:92] = this_node.to_bytes(4, "little")
        elif request == 0xC0405602:
            assert len(answer) == 64
            index = int.from_bytes(answer[:4], "little")
            if index > 1:
                raise OSError(errno.EINVAL, "end")
            answer[44:48] = (b"YUYV", b"MJPG")[index]
        else:
            raise AssertionError(hex(request))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    (tmp_path / "video0").write_text("")
    found = read_device(tmp_path / "video0")
    assert found == Device("HD Webcam", "uvcvideo", formats is not None, formats or ())
