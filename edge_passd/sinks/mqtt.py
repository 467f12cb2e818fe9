"""Results to an MQTT broker, with paho-mqtt."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from edge_passd.errors import BadInput
from edge_passd.sinks.address import split_url
from edge_passd.sinks.outbox import Deliver, NotDelivered, Outbox, sending, unreachable
from edge_passd.sinks.sink import Sink

if TYPE_CHECKING:
    from paho.mqtt.client import Client

PASSWORD = "EDGE_PASSD_MQTT_PASSWORD"
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "give mqtt://[user@]host[:port]/topic, or mqtts:// for TLS"
_CONNECT_S, _ANSWER_S = 3.0, 5.0
# Results come often or not at all; a connection that died meanwhile is found out by the next one.
_NO_KEEP_ALIVE = 0
_AT_LEAST_ONCE = 1


@dataclass(frozen=True)
class Broker:
    """Where to publish, and as whom; a user is empty where the broker asks for none."""

    host: str
    port: int
    topic: str
    is_encrypted: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' * self.is_encrypted}://{host}:{self.port}/{quote(self.topic)}"


def parse_broker(url: str, password: str = "") -> Broker:
    """The parts of mqtt[s]://[user[:password]@]host[:port]/topic.

    password: from elsewhere, in place of the one in the URL. Raises BadInput, which never shows
    what stands before the @.
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise BadInput(f"--mqtt: this is no address of a broker; {_FORM}")
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    topic = unquote(parts.path.removeprefix("/"))
    if not topic:
        raise BadInput(f"--mqtt {shown}: which topic? {_FORM}")
    if set(topic) & set("+#\0") or set(url) & set("#?"):
        raise BadInput(f"--mqtt {shown}: a topic to publish to holds no +, # or ?; {_FORM}")
    user = unquote(parts.username or "")
    secret = password or unquote(parts.password or "")
    if secret and not user:
        raise BadInput(f"--mqtt {shown}: a password needs a user: mqtt://user@host/topic")
    return Broker(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        topic=topic,
        is_encrypted=parts.scheme == "mqtts",
        user=user,
        password=secret,
    )


def mqtt(url: str, report: Callable[[str], object]) -> Sink:
    """Publish each result with something in it, at least once (QoS 1).

    A broker that is away is connected again for as long as it takes. The password is better in
    the environment variable EDGE_PASSD_MQTT_PASSWORD than in the URL, which other users of the
    machine can read. Raises BadInput for a bad URL or without paho-mqtt.
    """
    broker = parse_broker(url, os.environ.get(PASSWORD, ""))
    try:
        import paho.mqtt.client  # noqa: F401
    except ModuleNotFoundError as error:
        raise BadInput('--mqtt needs paho-mqtt: pip install "edge-passd[live]"') from error
    return sending(lambda: Outbox(broker.name, lambda: _publishing(broker), report))


@contextmanager
def _publishing(broker: Broker) -> Iterator[Deliver]:
    client: Client | None = None

    def deliver(message: bytes) -> None:
        nonlocal client
        try:
            if client is None or not client.is_connected():
                # A new one each time: an old one would send again by itself what we send again.
                client = None
                client = _connect(broker)
            _publish(client, broker.topic, message)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be looked up
            client = None
            raise unreachable(error) from error
        except NotDelivered:
            client = None
            raise

    yield deliver
    if client is not None:
        client.disconnect()


def _connect(broker: Broker) -> Client:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    answers: list[Any] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    client.connect_timeout = _CONNECT_S
    if broker.user:
        client.username_pw_set(broker.user, broker.password or None)
    if broker.is_encrypted:
        client.tls_set_context(ssl.create_default_context())
    client.connect(broker.host, broker.port, _NO_KEEP_ALIVE)
    _work(client, lambda: bool(answers))
    if not answers:
        raise NotDelivered("does not answer as an MQTT broker does")
    if answers[0].is_failure:
        raise NotDelivered(f"refuses the connection ({answers[0]})")
    return client


def _publish(client: Client, topic: str, message: bytes) -> None:
    sent = client.publish(topic, message, _AT_LEAST_ONCE)
    _work(client, sent.is_published)
    if not sent.is_published():
        raise NotDelivered("does not acknowledge")


def _work(client: Client, is_done: Callable[[], bool]) -> None:
    """Send and receive until it is done, the connection ends, or patience does."""
    from paho.mqtt.enums import MQTTErrorCode

    end = time.monotonic() + _ANSWER_S
    while not is_done() and (left := end - time.monotonic()) > 0:
        if client.loop(left) != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return
