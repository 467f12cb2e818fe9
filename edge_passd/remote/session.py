"""One connection to a board: the system's ssh, and at its other end `helper`."""

from __future__ import annotations

import json
import queue
import secrets
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import IO, Any, cast

from edge_passd.errors import BadInput
from edge_passd.remote.host import Host

# The user's ~/.ssh/config, agent and known hosts count; here stands only what must not differ.
OPTIONS = {
    "BatchMode": "yes",  # never waits for a password or a question
    "ConnectTimeout": "15",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "ControlMaster": "no",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}
HELPER = Path(__file__).with_name("helper.py")
GREETING_S = 60.0
BEAT_S = 5.0  # between signs of life; see `SILENCE_S` of the helper
CLOSE_S = 15.0

_SSH_FAILS = 255  # its exit status; any other is the command's
_LOOK_S = 0.3  # how often a stop is noticed
_QUOTED = 500  # bytes of a line that is no answer
_LONGEST = 1 << 28  # bytes of an answer: a row of a long measurement
_NO_PYTHON = "edge-passd: python3 there:"

# Boards have an old python3 and a newer one beside it. Nothing of the user's stands in here: that
# goes through standard input, where no shell reads it.
_COMMAND = (
    "exec /bin/sh -c '"
    "for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do "
    '"$python" -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>/dev/null || continue; '
    'exec "$python" -X utf8 -c '
    '"import sys; i = sys.stdin.buffer; exec(i.read(int(i.readline())))"; '
    f'done; echo "{_NO_PYTHON}" $(python3 -V 2>&1) >&2; exit 1\''
)

# What ssh says, and what to do; the first that fits.
_CURES = (
    (
        "IDENTIFICATION HAS CHANGED",
        "its host key is not the one known here; if it was installed anew, `ssh-keygen -R {name}`, "
        "otherwise somebody may be in between",
    ),
    (
        "Host key verification failed",
        "its host key is not known here; connect once by hand, `ssh {destination}`, and compare "
        "the fingerprint",
    ),
    (
        "Permission denied",
        "it does not take your key; put it there with `ssh-copy-id {destination}`",
    ),
    ("Could not resolve", "no such host; give its address, or a name from ~/.ssh/config"),
    ("", "is it on, and does sshd run there? Try `ssh {destination}`"),
)


class Session:
    """A connection, closed at the end of a `with`; then nothing of it runs on any more over there.

    host: the board. stop: set from outside, it ends the session with BadInput.
    Every method raises BadInput, which starts with the board's name, for whatever goes wrong.
    """

    def __init__(self, host: Host, stop: Event) -> None:
        self._host, self._stop = host, stop
        self.doing = "connecting"
        self._word = f"\x1e{secrets.token_hex(8)} ".encode()
        self._greeted, self._beaten = False, time.monotonic()
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._said: deque[str] = deque(maxlen=40)
        ssh = shutil.which("ssh")
        if ssh is None:
            raise BadInput("--remote takes ssh: `sudo apt-get install openssh-client`")
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        self._ssh = subprocess.Popen(
            [ssh, *options, "--", host.destination, _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours: the board is told before the line is cut
        )
        self._readers = [
            Thread(target=self._read_answers, args=[self._ssh.stdout], daemon=True),
            Thread(target=self._read_remarks, args=[self._ssh.stderr], daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._send([], close=True)
        try:
            self._ssh.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._ssh.terminate()
            self._ssh.wait()

    def ask(
        self,
        do: str,
        request: dict[str, Any],
        payload: Iterable[bytes] = (),
        heard: Callable[[str], object] = lambda line: None,
    ) -> dict[str, Any]:
        """The answer of `helper.Board` to a request.

        payload: bytes that follow it. heard: called with each line that a program there says.
        """
        if not self._greeted:
            helper = HELPER.read_bytes()
            self._send([b"%d\n" % len(helper), helper])
            request = {**request, "word": self._word.decode()}
        self._send([json.dumps({"do": do, **request}).encode() + b"\n"])
        self._send(payload)
        while True:
            message = self._next()
            if "error" in message:
                raise BadInput(f"{self._host.name}: {message['error']}")
            if "answer" in message:
                return message["answer"]
            heard(message["line"])

    def _next(self) -> dict[str, Any]:
        started = time.monotonic()
        while True:
            self._check_stop()
            if self._greeted and time.monotonic() - self._beaten > BEAT_S:
                self._send([b"\n"])
                self._beaten = time.monotonic()
            try:
                message = self._answers.get(timeout=_LOOK_S)
            except queue.Empty:
                if not self._greeted and time.monotonic() - started > GREETING_S:
                    raise self._no_greeting(f"no answer in {GREETING_S:.0f} s") from None
                continue
            if message is None:
                self._check_stop()
                raise self._why_cut()
            self._greeted = True
            return message

    def _send(self, chunks: Iterable[bytes], close: bool = False) -> None:
        """A broken pipe is no error here: the answer, or its lack, says why."""
        stdin = cast(IO[bytes], self._ssh.stdin)
        try:
            for chunk in chunks:
                self._check_stop()
                stdin.write(chunk)
            if close:
                stdin.close()
            else:
                stdin.flush()
        except BrokenPipeError:
            return

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise BadInput(f"{self._host.name}: interrupted while {self.doing}")

    def _read_answers(self, stream: IO[bytes]) -> None:
        while line := stream.readline(_LONGEST):
            # A login shell may print something first, even without an end of line.
            noise, _, answer = line.partition(self._word)
            if answer.endswith(b"\n"):
                self._answers.put(json.loads(answer))
            else:
                self._said.append(noise[:_QUOTED].decode(errors="replace"))
        self._answers.put(None)

    def _read_remarks(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._said.append(line[:_QUOTED].decode(errors="replace"))

    def _why_cut(self) -> BadInput:
        status = self._ssh.wait()
        self._readers[1].join(CLOSE_S)
        if self._greeted and status == _SSH_FAILS:
            return BadInput(
                f"{self._host.name}: the connection was cut while {self.doing}; nothing was "
                "written, start again"
            )
        if self._greeted:
            return BadInput(
                f"{self._host.name}: it gave up while {self.doing}, exit status {status}; it "
                f"says: {_last(self._said)}"
            )
        said = " ".join("".join(self._said).split())
        if _NO_PYTHON in said:
            return BadInput(
                f"{self._host.name}: no Python 3.10 or newer there (python3 -V: "
                f"{said.rpartition(':')[2].strip()}); install one"
            )
        if status != _SSH_FAILS:
            return self._no_greeting(f"exit status {status}")
        cure = next(cure for words, cure in _CURES if words in said)
        cure = cure.format(name=self._host.name, destination=self._host.destination)
        return BadInput(f"{self._host.name}: cannot connect: {_last(self._said)}; {cure}")

    def _no_greeting(self, what: str) -> BadInput:
        return BadInput(
            f"{self._host.name}: it runs no program ({what}; it says: {_last(self._said)}); try "
            f"`ssh {self._host.destination} python3 -V`"
        )


def _last(said: Iterable[str]) -> str:
    lines = [line.strip() for line in said if line.strip()]
    return lines[-1].rstrip(".") if lines else "nothing"
