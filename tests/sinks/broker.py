"""A real MQTT broker on loopback, and someone who listens there."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.programs import require_program

USER, PASSWORD = "board", "s3cret+word"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """mosquitto. password: ask for it, of the user `USER`."""

    def __init__(self, folder: Path, password: str = "", tls: tuple[Path, Path] | None = None):
        self.program = require_program("mosquitto")
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "user root"]
        if password:
            secrets = folder / "passwords"
            maker = require_program("mosquitto_passwd")
            subprocess.run([maker, "-b", "-c", secrets, USER, password], check=True, timeout=20)
            lines += ["allow_anonymous false", f"password_file {secrets}"]
        else:
            lines += ["allow_anonymous true"]
        if tls is not None:
            lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(self.program), "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < deadline, "mosquitto does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Listener:
    def __init__(self) -> None:
        self.got: list[bytes] = []


@contextmanager
def listening(broker: Broker, topic: str, user: str = "", password: str = "") -> Iterator[Listener]:
    """Collects what is published, for as long as the broker lives."""
    listener, subscribed = Listener(), threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: listener.got.append(message.payload)
    client.on_subscribe = lambda *_: subscribed.set()
    if user:
        client.username_pw_set(user, password)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.subscribe(topic, qos=1)
    assert subscribed.wait(10)
    try:
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()
