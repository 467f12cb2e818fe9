"""The board's side of `edge-passd bench --remote`.

Its text is sent there and run from memory by a Python of 3.10 or newer, with the standard library
alone. It takes requests from standard input, a JSON object a line, empty lines are signs of life.
It answers each with a line on standard output that starts with the word of the first request, so
that what a login shell prints is told apart. When standard input closes or falls silent, a failure
has been answered, or a signal comes, it ends everything that it started and goes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NoReturn, cast

SILENCE_S = 60  # the other side speaks every few seconds
LOCK_S = 10  # a predecessor whose connection was cut needs a moment to go
END_S = 5  # from asking a program to end to killing it
CHUNK = 1 << 18
ENVIRONMENT = {"PYTHONUTF8": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
PIP = ("-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20")


class Failure(Exception):
    """Something is not possible here; the message goes to the user."""


class Board:
    """root: the folder where everything is kept. hello: the first request, with what is wanted."""

    def __init__(self, hello: dict[str, Any]) -> None:
        self.hello = hello
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.root = Path(cache, "edge-passd", "remote")
        self.files = self.root / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        self.venv = self.root / hello["wheel"]
        self.lock = self._lock()
        for left in self.files.glob(".*.partial"):  # nobody else writes here now
            shutil.rmtree(left)

    def _lock(self) -> int:
        """Held as long as this process and those it starts live: one measurement at a time."""
        lock = os.open(self.root / "lock", os.O_CREAT | os.O_RDWR)
        give_up = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise Failure(
                        "another `edge-passd bench --remote` is measuring there; wait for its end"
                    ) from None
            time.sleep(0.2)

    def look(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is there already. python: of an installation that will do, or null."""
        pythons = [*pythons_of_commands(), str(self.venv / "bin" / "python")]
        return {
            "root": str(self.root),
            "machine": platform.machine(),
            "free": shutil.disk_usage(self.root).free,
            "have": [each for each in request["parcels"] if (self.files / each).is_dir()],
            "python": next(filter(self._will_do, pythons), None),
        }

    def receive(self, request: dict[str, Any]) -> dict[str, Any]:
        """Files, whose bytes follow the request: all of them or none."""
        temporary = self.files / f".{request['digest']}.partial"
        try:
            for name, size, sha256 in request["entries"]:
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if store(path, size) != sha256:
                    raise Failure(f"{name} changed or was damaged on the way; try again")
            temporary.rename(self.files / request["digest"])
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return {}

    def install(self, request: dict[str, Any]) -> dict[str, Any]:
        """The wheel and what it lacks, in an environment that sees the system's packages."""
        python = str(self.venv / "bin" / "python")
        if self._probe(python).get("digest") != self.hello["digest"]:
            self._run_or_fail(
                "an environment cannot be made there; `sudo apt-get install python3-venv` first",
                [sys.executable, "-m", "venv", "--clear", "--system-site-packages", str(self.venv)],
            )
            # Without its requirements: a system's own OpenCV is not known to pip.
            wheel = ["--no-deps", "--ignore-installed", request["wheel"]]
            self._run_or_fail("pip cannot install edge-passd there", [python, *PIP, *wheel])
        lacking = self._probe(python).get("missing", [])
        if lacking:
            wanted = " ".join(f"'{each}'" for each in lacking)
            self._run_or_fail(
                f"pip cannot install {wanted} there; if the board has no internet, put the wheels "
                f"on it and run `{self.venv}/bin/pip install --no-index --find-links WHEELS "
                f"{wanted}` there",
                [python, *PIP, *lacking],
            )
        found = self._probe(python)
        if not self._is_right(found):
            raise Failure(f"{self.venv} does not work there: {found.get('said', found)}")
        return {"python": python}

    def bench(self, request: dict[str, Any]) -> dict[str, Any]:
        """The command with its arguments; its lines on standard error are sent as they come."""
        command = [request["python"], "-m", "edge_passd", *request["arguments"]]
        status, out, said = self._run(command, lambda line: say(self.hello, {"line": line}))
        return {"status": status, "out": out, "said": said[-1:]}

    def _will_do(self, python: str) -> bool:
        return self._is_right(self._probe(python))

    def _is_right(self, found: dict[str, Any]) -> bool:
        return found.get("digest") == self.hello["digest"] and not found["missing"]

    def _probe(self, python: str) -> dict[str, Any]:
        """What `installed` prints under that Python, {"said": ...} if it cannot."""
        if not os.access(python, os.X_OK):
            return {"said": f"no {python}"}
        wanted = json.dumps(self.hello["requirements"])
        status, out, said = self._run([python, "-c", self.hello["installed"], wanted])
        return json.loads(out.splitlines()[-1]) if status == 0 else {"said": " ".join(said[-1:])}

    def _run_or_fail(self, problem: str, command: list[str]) -> None:
        status, out, said = self._run(command)
        if status:
            lines = [*out.splitlines(), *said]
            errors = [line for line in lines if "error" in line.lower()] or lines
            raise Failure(f"{problem} ({' '.join(errors[-1:])})")

    def _run(
        self, command: list[str], heard: Callable[[str], None] = lambda line: None
    ) -> tuple[int, str, list[str]]:
        """Exit status, standard output, and the lines on standard error.

        Everything in the program's session ends with it, or when the other side goes.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.root,  # Python looks for modules where it is started
            env={**os.environ, **ENVIRONMENT},
            start_new_session=True,
            pass_fds=[self.lock],
        )
        try:
            return collect(process, heard)
        finally:
            end(process)


def collect(
    process: subprocess.Popen[bytes], heard: Callable[[str], None]
) -> tuple[int, str, list[str]]:
    """As `Board._run`. Exits when standard input closes or is silent for too long."""
    out, rest, said = bytearray(), b"", list[str]()
    with selectors.DefaultSelector() as selector:
        for stream in (sys.stdin, process.stdout, process.stderr):
            selector.register(cast(IO, stream), selectors.EVENT_READ)
        alive = time.monotonic()
        while len(selector.get_map()) > 1:
            ready = selector.select(1)
            if time.monotonic() - alive > SILENCE_S:
                sys.exit(1)
            for key, _ in ready:
                data = os.read(key.fd, CHUNK)
                if key.fileobj is sys.stdin:
                    if not data:
                        sys.exit(1)
                    alive = time.monotonic()
                elif not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    out += data
                else:
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        said.append(line.decode(errors="replace"))
                        heard(said[-1])
    if rest:
        said.append(rest.decode(errors="replace"))
    return process.wait(), out.decode(errors="replace"), said


def end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def store(path: Path, size: int) -> str:
    """Write so many bytes of standard input to a file; returns their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while size:
            signal.alarm(SILENCE_S)
            chunk = sys.stdin.buffer.read(min(size, CHUNK))
            if not chunk:
                sys.exit(1)
            size -= len(chunk)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def pythons_of_commands() -> list[str]:
    """The interpreters of the `edge-passd` that a user would start here."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path.home() / ".local" / "bin")])
    command = shutil.which("edge-passd", path=path)
    if command is None:
        return []
    with open(command, "rb") as file:
        first = file.readline(512)
    return [os.fsdecode(first[2:].strip())] if first.startswith(b"#!/") else []


def request() -> dict[str, Any]:
    """The next one; exits when there is none."""
    line = b"\n"
    while line == b"\n":
        signal.alarm(SILENCE_S)
        line = sys.stdin.buffer.readline()
    signal.alarm(0)
    if not line.endswith(b"\n"):
        sys.exit(0)
    return json.loads(line)


def say(hello: dict[str, Any], answer: dict[str, Any]) -> None:
    """Answer in the way that the first request asked for."""
    print(hello["word"] + json.dumps(answer), flush=True)


def leave(*_: object) -> NoReturn:
    sys.exit(1)


def main() -> None:
    """Serve until the other side closes."""
    os.umask(0o077)  # programs are run from here
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, leave)
    hello = wanted = request()
    say(hello, {"line": "hello"})  # before anything that may take a while
    try:
        board = Board(hello)
        while True:
            answer = getattr(board, wanted["do"])(wanted)
            signal.alarm(0)
            say(hello, {"answer": answer})
            wanted = request()
    except Failure as error:
        problem = str(error)
    except OSError as error:
        problem = ": ".join(str(each) for each in (error.filename, error.strerror) if each)
    say(hello, {"error": problem})


if __name__ == "__main__":
    main()
