"""Puts the service onto a machine, and takes it off again."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_passd.errors import BadInput
from edge_passd.files import replacing
from edge_passd.run import TOKEN
from edge_passd.service.request import Request
from edge_passd.service.unit import MARK, Unit, unit_text

Call = Callable[[Sequence[str]], None]

_VENDOR_UNITS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system")
_ENVIRONMENT = """\
# What the service must know and others must not, NAME=VALUE; `systemctl restart {name}` after a
# change. Viewers of --serve with --host give this token:
{token_name}={token}
# The password of --mqtt:
#EDGE_PASSD_MQTT_PASSWORD=
"""


def call(command: Sequence[str]) -> None:
    """Run a program of the system; BadInput with its own words if it fails."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        words = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise BadInput(f"{' '.join(command)} failed: {words}")


def require_ours(request: Request, has_user: bool, root: Path) -> None:
    """BadInput if a service or a user of that name is there and is not of this making."""
    name = request.name
    ours = _below(root, request.unit_file)
    if ours.exists():
        if MARK not in ours.read_text(encoding="utf-8", errors="replace"):
            raise BadInput(f"{request.unit_file} is not of this script; choose another --name")
        return
    for folder in _VENDOR_UNITS:
        if _below(root, Path(folder) / f"{name}.service").exists():
            raise BadInput(f"there is a service {name} of the system; choose another --name")
    if has_user:
        raise BadInput(f"there is a user {name} already; choose another --name")


def install(request: Request, unit: Unit, has_user: bool, root: Path, call: Call) -> None:
    """Make the user, copy the model, write the secrets and the unit, start the service.

    An installed one is replaced; its secrets stay. root: "/" but in tests. call: runs a program.
    """
    if not has_user:
        home = ("--home-dir", str(request.state), "--no-create-home")
        shell = ("--shell", "/usr/sbin/nologin")
        call(("useradd", "--system", "--user-group", *home, *shell, request.name))
    folder = _below(root, request.model_folder)
    shutil.rmtree(folder, ignore_errors=True)
    if request.model is not None:
        with replacing(folder / request.model.name) as temporary:
            shutil.copyfile(request.model, temporary)
            temporary.chmod(0o644)
        for each in (folder, folder.parent):
            each.chmod(0o755)
    secret = _below(root, request.environment)
    if not secret.exists():
        token = secrets.token_urlsafe(24)
        _write(secret, _ENVIRONMENT.format(name=request.name, token_name=TOKEN, token=token), 0o600)
    _write(_below(root, request.unit_file), unit_text(unit), 0o644)
    call(("systemctl", "daemon-reload"))
    call(("systemctl", "enable", request.name))
    call(("systemctl", "restart", request.name))


def remove(request: Request, has_user: bool, root: Path, call: Call) -> None:
    """Undo `install`. What the service wrote stays, and belongs to root then.

    Raises BadInput when no such service is installed.
    """
    unit_file = _below(root, request.unit_file)
    if not unit_file.exists():
        raise BadInput(f"no service {request.name} is installed here")
    call(("systemctl", "disable", "--now", request.name))
    unit_file.unlink()
    call(("systemctl", "daemon-reload"))
    shutil.rmtree(_below(root, request.model_folder), ignore_errors=True)
    _below(root, request.environment).unlink(missing_ok=True)
    if _below(root, request.state).exists():
        call(("chown", "--recursive", "root:root", str(request.state)))
    if has_user:
        call(("userdel", request.name))


def _write(path: Path, text: str, mode: int) -> None:
    """A file that never, not for a moment, has more readers than `mode` says."""
    with replacing(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(mode)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
