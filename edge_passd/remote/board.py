"""One benchmark on one board: look, copy, install, measure, check what came back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from edge_passd.bench.row import OK, parse_row
from edge_passd.errors import BadInput
from edge_passd.remote import installed
from edge_passd.remote.host import Host
from edge_passd.remote.parcel import Parcel
from edge_passd.remote.requirements import Requirement
from edge_passd.remote.session import Session

Tell = Callable[[str, float | None], object]  # takes what is done, and its share that is, 0-1

_ROOM = 32 << 20  # bytes that stay free
_ROOM_TO_INSTALL = 64 << 20  # what an environment takes, beside what pip downloads
_SHORT = 12  # digits that tell one wheel from another
_COMPLAINT = "edge-passd: "


@dataclass(frozen=True)
class Order:
    """What every board is asked for.

    arguments: of the command, passed on as they are. parcels: what is copied, by the option that
    it belongs to; "" is the model. wheel, digest: this installation. model_sha256, data_sha256:
    what the row must be about; data_sha256 is None without a data set.
    """

    arguments: tuple[str, ...]
    parcels: Mapping[str, Parcel]
    requirements: tuple[Requirement, ...]
    wheel: Parcel
    digest: str
    model_sha256: str
    data_sha256: str | None


def measure(host: Host, order: Order, stop: Event, tell: Tell) -> dict[str, Any]:
    """The row of one board, with "remote": its name.

    Raises BadInput, which starts with the board's name, for whatever goes wrong, and soon after
    `stop` is set; nothing of it runs on over there then.
    """
    with Session(host, stop) as session:

        def doing(what: str, share: float | None = None) -> None:
            session.doing = what
            tell(what, share)

        doing("connecting")
        parcels = (*order.parcels.values(), order.wheel)
        found = session.ask(
            "look",
            {
                "installed": Path(installed.__file__).read_text(encoding="utf-8"),
                "digest": order.digest,
                "wheel": order.wheel.entries[0].sha256[:_SHORT],
                "requirements": [each.to_dict() for each in order.requirements],
                "parcels": [each.digest for each in parcels],
            },
        )
        installing = found["python"] is None
        wanted = parcels if installing else parcels[:-1]
        lacking = {each.digest: each for each in wanted if each.digest not in found["have"]}
        room = sum(each.size for each in lacking.values()) + installing * _ROOM_TO_INSTALL
        if room + _ROOM > found["free"]:
            raise BadInput(
                f"{host.name}: no space left on device: {(room + _ROOM) / 1e6:.0f} MB are needed, "
                f"{found['free'] / 1e6:.0f} MB are free at {found['root']}; make room there"
            )
        for parcel in lacking.values():
            doing(f"copying {parcel.name}", 0.0)
            _copy(session, parcel, doing)
        python = found["python"]
        if installing:
            doing("installing edge-passd")
            wheel = _path(found["root"], order.wheel)
            python = session.ask("install", {"wheel": wheel})["python"]
        doing("starting")
        answer = session.ask(
            "bench",
            {"python": python, "arguments": _arguments(order, found["root"])},
            heard=lambda line: _relay(line, doing),
        )
    return _row(host, order, answer, found["root"])


def _copy(session: Session, parcel: Parcel, doing: Tell) -> None:
    def counted() -> Any:
        sent = 0
        for chunk in parcel.chunks():
            yield chunk
            sent += len(chunk)
            doing(f"copying {parcel.name}", sent / parcel.size)

    session.ask("receive", parcel.header(), counted())


def _arguments(order: Order, root: str) -> list[str]:
    paths = {option: _path(root, parcel) for option, parcel in order.parcels.items()}
    model = paths.pop("", None)
    options = [f"{option}={path}" for option, path in paths.items()]
    ours = ("--progress-lines", "--json=-", *order.arguments)
    return ["bench", *ours, *options, *([model] if model else [])]


def _path(root: str, parcel: Parcel) -> str:
    return f"{root}/files/{parcel.digest}/{parcel.name}"


def _relay(line: str, doing: Tell) -> None:
    """Of what the command says there, the steps; the table is made here."""
    if line.startswith('{"step":'):
        step = json.loads(line)
        doing(step["step"], step["share"])


def _row(host: Host, order: Order, answer: Mapping[str, Any], root: str) -> dict[str, Any]:
    if answer["status"]:
        said = (answer["said"] or ["nothing"])[-1].removeprefix(_COMPLAINT)
        for parcel in order.parcels.values():
            said = said.replace(_path(root, parcel), parcel.origin)
        raise BadInput(f"{host.name}: bench ends with exit status {answer['status']}: {said}")
    row = parse_row(answer["out"], host.name)
    accuracy = row.get("accuracy") or {}
    found = (row["status"], row.get("model_sha256"), accuracy.get("data_sha256"))
    if found != (OK, order.model_sha256, order.data_sha256):
        raise BadInput(
            f"{host.name}: the row is not about what was sent (status, model and data set "
            f"{found}); remove {root} there and measure again"
        )
    return {"schema": row["schema"], "remote": host.name, **row}
