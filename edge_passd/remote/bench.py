"""`edge-passd bench --remote`: the same benchmark on boards, their rows brought back."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console

from edge_passd.bench.accuracy import data_sha256, require_objects
from edge_passd.bench.photos import choose_photos
from edge_passd.bench.row import FAILED, failed_row, read_row, row_text, write_row
from edge_passd.bench.table import summary_table
from edge_passd.detector import default_model
from edge_passd.engines.table import AUTO
from edge_passd.errors import BadInput
from edge_passd.files import require_file, require_writable
from edge_passd.photo import read_photo
from edge_passd.remote.board import Order, Tell, measure
from edge_passd.remote.host import Host, parse_hosts
from edge_passd.remote.installed import files_digest, package_files
from edge_passd.remote.parcel import (
    Parcel,
    bytes_parcel,
    data_parcel,
    file_parcel,
    photos_parcel,
)
from edge_passd.remote.progress import boards_progress
from edge_passd.remote.requirements import requirements
from edge_passd.remote.wheel import build_wheel
from edge_passd.samples import DataSet
from edge_passd.sinks.json_lines import STDOUT
from edge_passd.terminal import complain

Outcome = dict[str, Any] | BadInput  # a row, or why there is none


@dataclass(frozen=True)
class RemoteOptions:
    """What the user asked for.

    remote: the boards, one or more, as ssh takes them. arguments: of `edge-passd bench`, passed on
    as they are. data, split: folder and split of the data set. json: a file, or "-" for standard
    output; with several boards a folder. The others are as in `BenchOptions`.
    """

    remote: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    model: Path | None = None
    engine: str = AUTO
    photo: Path | None = None
    data: Path | None = None
    split: str = "val"
    baseline: Path | None = None
    against: Path | None = None
    against_engine: str = AUTO
    json: str | None = None


def bench_remote(options: RemoteOptions, data: DataSet | None, console: Console) -> None:
    """Measure on all boards at once, print the tables and write the rows.

    data: what `options.data` holds. Raises BadInput if anything goes wrong on a single board. Of
    several, each that fails gets a line on standard error and a row that says why, and BadInput
    comes when all are done.
    """
    hosts = parse_hosts(options.remote)
    files = _row_files(options.json, hosts)
    order = _order(options, data)
    outcomes = {}
    with closing(_outcomes(hosts, order)) as running:
        for host, outcome in running:
            outcomes[host] = outcome
            if len(hosts) == 1 and isinstance(outcome, BadInput):
                raise outcome
            if host in files and files[host] != STDOUT:
                write_row(Path(files[host]), _as_row(outcome, host, options))
    failed = [host.name for host in hosts if isinstance(outcomes[host], BadInput)]
    for host in hosts:
        _show(host, outcomes[host], files.get(host) == STDOUT, console)
    if failed:
        raise BadInput(f"{len(failed)} of {len(hosts)} boards failed: {', '.join(failed)}")


def _outcomes(hosts: Sequence[Host], order: Order) -> Generator[tuple[Host, Outcome], None, None]:
    """All boards at once, each when it is done; closing it ends those that are not."""
    stop = Event()
    with (
        boards_progress(Console(stderr=True, highlight=False), [h.name for h in hosts]) as tell,
        ThreadPoolExecutor(len(hosts)) as pool,
    ):
        running = {
            pool.submit(_outcome, host, order, stop, partial(tell, host.name)): host
            for host in hosts
        }
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            stop.set()


def _outcome(host: Host, order: Order, stop: Event, tell: Tell) -> Outcome:
    try:
        row = measure(host, order, stop, tell)
    except BadInput as error:
        tell("failed", 0.0)
        return error
    tell("done", 1.0)
    return row


def _as_row(outcome: Outcome, host: Host, options: RemoteOptions) -> Mapping[str, Any]:
    if not isinstance(outcome, BadInput):
        return outcome
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    model = options.model or default_model()
    row = failed_row(model, options.engine, FAILED, _line(outcome), now)
    return {"schema": row["schema"], "remote": host.name, **row}


def _show(host: Host, outcome: Outcome, as_row: bool, console: Console) -> None:
    if isinstance(outcome, BadInput):
        complain(_line(outcome))
        return
    if as_row:
        print(row_text(outcome), end="")
    console.print(f"on {host.name}", markup=False)
    console.print(summary_table(outcome))


def _line(error: BadInput) -> str:
    return " ".join(str(error).split())


def _row_files(json: str | None, hosts: tuple[Host, ...]) -> dict[Host, str]:
    """Where the row of each board goes, checked; none if it goes nowhere."""
    if json is None:
        return {}
    if len(hosts) == 1:
        files = {hosts[0]: json}
    elif json == STDOUT or Path(json).is_file():
        raise BadInput(f"--json {json}: of several boards there are several rows; name a folder")
    else:
        files = {host: str(Path(json) / f"{host.name}.json") for host in hosts}
    for file in files.values():
        if file != STDOUT:
            require_writable(Path(file))
    return files


def _order(options: RemoteOptions, data: DataSet | None) -> Order:
    """Everything that can be wrong here is found before the first board is called."""
    path = options.model or default_model()
    models = [(path, options.engine)]
    if options.against:
        models.append((options.against, options.against_engine))
    for each, _ in models:
        if not each.exists():
            raise BadInput(f"no such model: {each}")
    wanted = requirements(models, data is not None)
    if data:
        require_objects(data)
    if options.baseline:
        read_row(options.baseline)
    require_file(path, "a model")
    wheel = bytes_parcel(*build_wheel())
    return Order(
        arguments=options.arguments,
        parcels=_parcels(options, data),
        requirements=tuple(wanted),
        wheel=wheel,
        digest=files_digest(package_files()),
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        data_sha256=data_sha256(data) if data else None,
    )


def _parcels(options: RemoteOptions, data: DataSet | None) -> dict[str, Parcel]:
    """By option. The model that ships with the package is there with it."""
    parcels = {}
    if options.model:
        parcels[""] = file_parcel(options.model, "a model")
    if options.against:
        parcels["--against"] = file_parcel(options.against, "a model")
    if options.baseline:
        parcels["--baseline"] = file_parcel(options.baseline, "a row")
    if options.photo:
        parcels["--photo"] = _photos(options.photo)
    if data and options.data:
        parcels["--data"] = data_parcel(options.data, options.split, data)
    return parcels


def _photos(source: Path) -> Parcel:
    chosen = choose_photos(source)
    for each in chosen:
        read_photo(each)
    return photos_parcel(source, chosen) if source.is_dir() else file_parcel(source, "a photo")
