"""A real ssh server on loopback, and boards behind it: each the home of whoever logs in.

The client's side is an `ssh` of its own on the path, which reads a configuration of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from tests.programs import lacks, require_program

BOARDS = ("pi", "orin")

# Whoever logs in gets a shell that knows nothing but what is in its home.
_LOGIN = """#!/bin/sh
HOME={homes}/$BOARD
PATH=$HOME/bin
export HOME PATH
unset XDG_CACHE_HOME
cd "$HOME"
. "$HOME/rc"
eval "$SSH_ORIGINAL_COMMAND"
"""

_SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
AcceptEnv BOARD
ForceCommand {folder}/login
"""

_CLIENT = """
Host stranger
    IdentityFile {folder}/host_key
Host unknown
    UserKnownHostsFile /dev/null
Host changed
    UserKnownHostsFile {folder}/known_otherwise
Host down
    Port {closed}
Host pi
    SetEnv BOARD=pi
Host orin
    SetEnv BOARD=orin
Host * !stranger
    IdentityFile {folder}/key
Host *
    HostName 127.0.0.1
    HostKeyAlias board
    Port {port}
    User {user}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder}/known
    GlobalKnownHostsFile /dev/null
"""


@dataclass(frozen=True)
class Board:
    """name: as ssh knows it. home: of whoever logs in."""

    name: str
    home: Path

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "edge-passd" / "remote"

    def reset(self) -> None:
        """As new: a shell, this Python as python3, and this edge-passd."""
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / "bin").mkdir(parents=True)
        (self.home / "bin" / "sh").symlink_to("/bin/sh")
        self.rc("export OMP_NUM_THREADS=1")
        self.program("python3", f'exec {shlex.quote(sys.executable)} "$@"')
        # Looked into only: its first line names its Python.
        self.program("edge-passd", "", shebang=sys.executable)

    def rc(self, *lines: str) -> None:
        """What the shell does at every login."""
        (self.home / "rc").write_text("\n".join([*lines, ""]))

    def program(self, name: str, text: str, shebang: str = "/bin/sh") -> None:
        path = self.home / "bin" / name
        path.write_text(f"#!{shebang}\n{text}\n")
        path.chmod(0o755)

    def processes(self) -> list[int]:
        """Those that run on it: whose environment has its home."""
        return [int(each.name) for each in Path("/proc").glob("[0-9]*") if self._is_home_of(each)]

    def wait_until_idle(self) -> None:
        """Fails when something still runs after a while."""
        give_up = time.monotonic() + 15
        while self.processes():
            assert time.monotonic() < give_up, self.processes()
            time.sleep(0.1)

    def _is_home_of(self, process: Path) -> bool:
        try:
            environment = (process / "environ").read_bytes()
        except OSError:  # gone, or of somebody else
            return False
        return f"HOME={self.home}".encode() in environment.split(b"\0")


@dataclass(frozen=True)
class Server:
    """boards: by name. environment: of a program that is to find the client's side."""

    boards: dict[str, Board]
    environment: dict[str, str]


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Start the server; skips the test where it cannot run."""
    sshd, ssh, keygen = map(require_program, ("sshd", "ssh", "ssh-keygen"))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it insists on it as root
    for name in ("host_key", "key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as first, socket.socket() as second:
        second.bind(("127.0.0.1", 0))  # never listens
        port, closed = first.getsockname()[1], second.getsockname()[1]
        first.close()
        values = {"folder": folder, "homes": folder, "port": port, "closed": closed}
        for name, text in (("login", _LOGIN), ("server", _SERVER), ("client", _CLIENT)):
            (folder / name).write_text(text.format(user=getuser(), **values))
        (folder / "login").chmod(0o755)
        (folder / "known").write_text(f"board {(folder / 'host_key.pub').read_text()}")
        (folder / "known_otherwise").write_text(f"board {(folder / 'key.pub').read_text()}")
        (folder / "client_bin").mkdir()
        wrapper = folder / "client_bin" / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/client "$@"\n')
        wrapper.chmod(0o755)
        boards = {name: Board(name, folder / name) for name in BOARDS}
        for board in boards.values():
            board.reset()
        server = subprocess.Popen(
            [sshd, "-D", "-e", "-f", folder / "server"], stderr=(folder / "log").open("w")
        )
        try:
            _wait(port)
            done = subprocess.run([wrapper, "pi", ":"], capture_output=True, text=True, timeout=30)
            if done.returncode:
                log = (folder / "log").read_text()
                lacks(f"sshd lets nobody in here: {done.stderr} {log}")
            path = f"{folder}/client_bin{os.pathsep}{os.environ['PATH']}"
            yield Server(boards, {**os.environ, "PATH": path, "COLUMNS": "120"})
        finally:
            server.terminate()
            server.wait(10)


def _wait(port: int) -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    lacks("sshd does not start here")
