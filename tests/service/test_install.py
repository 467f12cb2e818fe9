"""Installation below a folder that stands for /; what programs would do is written down."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_passd.errors import BadInput
from edge_passd.service.install import call, install, remove, require_ours
from edge_passd.service.request import parse, to_unit
from edge_passd.service.unit import unit_text

UNIT_FILE = "etc/systemd/system/yard.service"
SECRETS = "etc/edge-passd/yard.env"
MODEL = "usr/local/lib/edge-passd/yard/my pc.passd"


@dataclass
class Machine:
    """root: stands for /. called: programs and arguments."""

    root: Path
    called: list[Sequence[str]] = field(default_factory=list)

    def install(self, bundle: Path, *options: str, has_user: bool = False) -> str:
        request = parse("yard", None, (str(bundle), "--camera", "0", *options))
        unit = to_unit(request, 252, ("video",), self.root)
        require_ours(request, has_user, self.root)
        install(request, unit, has_user, self.root, self.called.append)
        return unit_text(unit)

    def remove(self, has_user: bool = True) -> None:
        remove(parse("yard", None, ("--camera", "0")), has_user, self.root, self.called.append)

    def files(self) -> dict[str, int]:
        """The files and their permissions."""
        return {
            str(path.relative_to(self.root)): stat.S_IMODE(path.stat().st_mode)
            for path in self.root.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root = tmp_path / "root"
    root.mkdir()
    return Machine(root)


@pytest.fixture(autouse=True)
def strict_umask() -> Iterator[None]:
    """Of administrators whose files are their own; the service must read its own all the same."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_what_an_installation_writes(machine: Machine, cpu_bundle: Path) -> None:
    text = machine.install(cpu_bundle)
    assert machine.files() == {UNIT_FILE: 0o644, SECRETS: 0o600, MODEL: 0o644}
    assert (machine.root / UNIT_FILE).read_text() == text
    assert (machine.root / MODEL).read_bytes() == cpu_bundle.read_bytes()
    for folder in (machine.root / MODEL).parents[:2]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    (token,) = re.findall(r"(?m)^EDGE_PASSD_TOKEN=(.*)$", (machine.root / SECRETS).read_text())
    assert len(token) >= 24
    programs = [tuple(each[:2]) for each in machine.called]
    assert programs == [
        ("useradd", "--system"),
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable"),
        ("systemctl", "restart"),
    ]


def test_again_with_another_model(machine: Machine, cpu_bundle: Path, gpu_bundle: Path) -> None:
    machine.install(cpu_bundle)
    secret = (machine.root / SECRETS).read_text()
    machine.called.clear()
    text = machine.install(gpu_bundle, "--track", has_user=True)
    assert (machine.root / SECRETS).read_text() == secret
    assert (machine.root / UNIT_FILE).read_text() == text
    assert set(machine.files()) == {UNIT_FILE, SECRETS, str(Path(MODEL).parent / gpu_bundle.name)}
    assert {each[0] for each in machine.called} == {"systemctl"}


def test_removal_leaves_what_the_service_wrote(machine: Machine, cpu_bundle: Path) -> None:
    machine.install(cpu_bundle)
    film = machine.root / "var/lib/yard/film.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    machine.called.clear()
    machine.remove()
    assert set(machine.files()) == {"var/lib/yard/film.mp4"}
    assert [each[0] for each in machine.called] == ["systemctl", "systemctl", "chown", "userdel"]
    assert machine.called[0] == ("systemctl", "disable", "--now", "yard")
    with pytest.raises(BadInput, match="no service yard is installed"):
        machine.remove()


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (UNIT_FILE, "is not of this script"),
        ("usr/lib/systemd/system/yard.service", "a service yard of the system"),
    ],
)
def test_the_services_of_others_are_left_alone(
    there: str, told: str, machine: Machine, cpu_bundle: Path
) -> None:
    other = machine.root / there
    other.parent.mkdir(parents=True)
    other.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(BadInput, match=told):
        machine.install(cpu_bundle)
    assert set(machine.files()) == {there}
    assert machine.called == []


def test_no_service_in_the_name_of_somebody(machine: Machine, cpu_bundle: Path) -> None:
    with pytest.raises(BadInput, match="a user yard already"):
        machine.install(cpu_bundle, has_user=True)
    assert machine.files() == {}


def test_a_program_that_fails_is_quoted() -> None:
    call(("true",))
    with pytest.raises(BadInput, match=r"^ls --nonsense failed: .*nonsense"):
        call(("ls", "--nonsense"))
