"""MQTT, with a real broker that comes, goes and refuses."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_passd.errors import BadInput
from edge_passd.sinks import outbox
from edge_passd.sinks.mqtt import mqtt, parse_broker
from tests.programs import require_program
from tests.sinks.broker import PASSWORD, USER, Broker, free_port, listening
from tests.sinks.results import result
from tests.sinks.test_outbox import wait_for

TOPIC = "yard/animals"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again soon and gives up soon; takes no password from outside."""
    monkeypatch.setattr(outbox, "FLUSH_S", 1.0)
    monkeypatch.setattr(outbox, "LAST_RETRY_S", 0.3)
    monkeypatch.delenv("EDGE_PASSD_MQTT_PASSWORD", raising=False)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    try:
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Broker]:
    """Asks for a user and a password."""
    broker = Broker(tmp_path, PASSWORD)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def numbers(messages: list[bytes]) -> list[int]:
    return [json.loads(message)["frame"] for message in messages]


def test_what_is_found_arrives_as_the_json_line(broker: Broker) -> None:
    broker.start()
    said: list[str] = []
    with listening(broker, TOPIC) as listener:
        with mqtt(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}", said.append) as write:
            for index in range(20):
                write(result(index, dogs=index % 2))
        wait_for(lambda: len(listener.got) == 10)
    assert numbers(listener.got) == list(range(1, 20, 2))
    assert json.loads(listener.got[0])["detections"][0]["label"] == "dog"
    assert said == []


def test_a_broker_that_dies_and_comes_back(broker: Broker) -> None:
    broker.start()
    said: list[str] = []
    with mqtt(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}", said.append) as write:
        with listening(broker, TOPIC) as listener:
            write(result(0))
            wait_for(lambda: len(listener.got) == 1)
            broker.kill()
        for index in range(1, 6):
            write(result(index))
        wait_for(lambda: bool(said))
        broker.start()
        with listening(broker, TOPIC) as listener:
            wait_for(lambda: len(said) == 2)
            write(result(6))
            wait_for(lambda: 6 in numbers(listener.got))
    assert said[0].startswith(f"mqtt://127.0.0.1:{broker.port}/{TOPIC} ")
    assert said[0].endswith("; detection goes on")
    assert said[1].endswith(" is back")
    assert len(said) == 2
    found = numbers(listener.got)
    assert found == sorted(found)


def test_a_broker_that_comes_late_gets_all(broker: Broker) -> None:
    said: list[str] = []
    with mqtt(f"mqtt://127.0.0.1:{broker.port}/{TOPIC}", said.append) as write:
        write(result(0))
        wait_for(lambda: bool(said))
        broker.start()
        with listening(broker, TOPIC):
            wait_for(lambda: len(said) == 2)
    assert said[0].endswith(" cannot be reached (Connection refused); detection goes on")


@pytest.mark.parametrize("from_environment", [False, True])
def test_the_password_from_the_url_or_the_environment(
    strict_broker: Broker, from_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = PASSWORD.replace("+", "%2B")
    user = USER if from_environment else f"{USER}:{quoted}"
    if from_environment:
        monkeypatch.setenv("EDGE_PASSD_MQTT_PASSWORD", PASSWORD)
    with listening(strict_broker, TOPIC, USER, PASSWORD) as listener:
        with mqtt(f"mqtt://{user}@127.0.0.1:{strict_broker.port}/{TOPIC}", pytest.fail) as write:
            write(result(3))
        wait_for(lambda: numbers(listener.got) == [3])


def test_a_wrong_password_is_said_once_and_never_shown(strict_broker: Broker) -> None:
    said: list[str] = []
    url = f"mqtt://{USER}:wr0ngword@127.0.0.1:{strict_broker.port}/{TOPIC}"
    with mqtt(url, said.append) as write:
        for index in range(5):
            write(result(index))
        wait_for(lambda: bool(said))
    assert "refuses the connection" in said[0]
    assert said[1].endswith("5 messages were not delivered")
    assert len(said) == 2
    assert "wr0ngword" not in "".join(said)
    assert USER not in "".join(said)


def test_someone_else_at_that_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_passd.sinks.mqtt._ANSWER_S", 0.2)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with mqtt(f"mqtt://127.0.0.1:{port}/{TOPIC}", said.append) as write:
            write(result())
            wait_for(lambda: bool(said))
    assert "does not answer as an MQTT broker does" in said[0]


def test_tls_refuses_a_broker_that_speaks_none(broker: Broker) -> None:
    broker.start()
    said: list[str] = []
    with mqtt(f"mqtts://127.0.0.1:{broker.port}/{TOPIC}", said.append) as write:
        write(result())
        wait_for(lambda: bool(said))
    assert "cannot be reached" in said[0]


def test_tls_with_a_certificate_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    broker, said = Broker(tmp_path, tls=(certificate, key)), []
    broker.start()
    try:
        for trusted in ("/dev/null", str(certificate)):
            monkeypatch.setenv("SSL_CERT_FILE", trusted)
            with mqtt(f"mqtts://127.0.0.1:{broker.port}/{TOPIC}", said.append) as write:
                write(result())
    finally:
        broker.kill()
    # Not trusted: said, and not delivered. Trusted: nothing to say.
    assert "certificate verify failed" in said[0]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("url", "host", "port", "topic", "is_encrypted", "user", "password"),
    [
        ("mqtt://broker/a", "broker", 1883, "a", False, "", ""),
        ("mqtts://broker/a/b/c", "broker", 8883, "a/b/c", True, "", ""),
        ("mqtt://u@broker:99/a", "broker", 99, "a", False, "u", ""),
        ("mqtt://u:p%40%2F@broker/a%20b", "broker", 1883, "a b", False, "u", "p@/"),
        ("mqtt://[::1]:1884/a", "::1", 1884, "a", False, "", ""),
        ("mqtt://broker/a%0Ab", "broker", 1883, "a\nb", False, "", ""),
    ],
)
def test_urls(
    url: str, host: str, port: int, topic: str, is_encrypted: bool, user: str, password: str
) -> None:
    broker = parse_broker(url)
    assert (broker.host, broker.port, broker.topic) == (host, port, topic)
    assert (broker.is_encrypted, broker.user, broker.password) == (is_encrypted, user, password)
    assert not password or password not in repr(broker) + broker.name
    assert broker.name.isprintable()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://u:hidden@broker/a", "no address of a broker"),
        ("broker/a", "no address of a broker"),
        ("mqtt:///a", "no address of a broker"),
        ("mqtt://u:hidden@broker", "which topic?"),
        ("mqtt://u:hidden@broker/", "which topic?"),
        ("mqtt://u:hidden@broker/a/#", "holds no"),
        ("mqtt://u:hidden@broker/a/+/b", "holds no"),
        ("mqtt://u:hidden@broker/a?b=c", "holds no"),
        ("mqtt://u:hidden@broker:0/a", "no address of a broker"),
        ("mqtt://u:hidden@broker:x/a", "no address of a broker"),
        ("mqtt://u:hidden@broker:70000/a", "no address of a broker"),
        ("mqtt://[broker/a", "no address of a broker"),
        ("mqtt://:hidden@broker/a", "a password needs a user"),
    ],
)
def test_bad_urls_are_one_line_without_secrets(url: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        parse_broker(url)
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_host_that_no_name_server_knows() -> None:
    said: list[str] = []
    with mqtt(f"mqtt://{'a' * 70}.invalid:{free_port()}/{TOPIC}", said.append) as write:
        write(result())
        wait_for(lambda: bool(said))
    assert "cannot be reached" in said[0]
