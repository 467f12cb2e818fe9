"""What a bundle says about itself: the JSON of its `manifest.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_passd.bundle.plan import CUDA, CudaPlan, Plan, read_plan
from edge_passd.errors import BadInput
from edge_passd.fields import (
    FRACTION,
    OBJECT,
    TEXT,
    WORD,
    WORDS,
    Field,
    JsonText,
    is_list_of,
    is_object,
    is_size,
    is_text,
)
from edge_passd.model_info import ModelInfo

SCHEMA = 1
KINDS = ("arm", "x86", CUDA)
ANY = "any"  # machine, for code that runs on a GPU alone
MACHINES = ("aarch64", "x86_64", ANY)

_CURE = "copy or compile it again"


@dataclass(frozen=True)
class TargetInfo:
    """What the code is compiled for.

    kind: one of `KINDS`. board: the preset's name. triple, cpu: LLVM's names; for kind cuda, cpu
    is the architectures of its images, joined by +.
    machine: one of `MACHINES`, as `uname -m` says it, or for kind cuda, and it alone, `ANY`.
    features: what the processor must have, by their names in /proc/cpuinfo.
    """

    kind: str
    board: str
    triple: str
    machine: str
    cpu: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class FileRecord:
    """What a file must be. sha256: hexadecimal; bytes: its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says about itself.

    precision: of the compiled weights, "fp32", "int8", ... int8_share: of the multiplications,
    those done on integers, 0 to 1; None where nobody counted.
    parity: how close to the model it was compiled from, one object for each comparison.
    plan: a `CudaPlan` for kind cuda, a `Plan` for the others.
    operators: one object for each compiled operator: name, kind, macs (multiply-accumulates for
    one photo), and what else the compiler knows.
    compiler: versions by name. files: by name; `write_bundle` fills them in.
    """

    model: ModelInfo
    target: TargetInfo
    precision: str
    int8_share: float | None
    plan: Plan | CudaPlan
    parity: tuple[Mapping[str, Any], ...]
    operators: tuple[Mapping[str, Any], ...]
    compiler: Mapping[str, str]
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Manifest:
        """Parse and check the text; `where` names the bundle in errors.

        Raises BadInput when it is of another schema or breaks the contract.
        """
        manifest = JsonText(text, f"{where}: broken manifest", _CURE)
        values = manifest.values()
        _check_schema(values.get("schema"), where, manifest)
        known = manifest.fields(values, _MANIFEST)
        target = manifest.fields(known["target"], _TARGET, "target.")
        if (target["machine"] == ANY) != (target["kind"] == CUDA):
            raise manifest.error(f"'target.machine' must be {ANY} for {CUDA}, and for it alone")
        plan = read_plan(target["kind"], known["plan"], manifest)
        for row, operator in enumerate(known["operators"]):
            manifest.fields(operator, _OPERATOR, f"operators[{row}].")
        files = {
            name: FileRecord(**manifest.fields(record, _FILE, f"files.{name}."))
            for name, record in known["files"].items()
        }
        model = ModelInfo.from_json(json.dumps(known["model"]), where)
        if plan.classes != len(model.classes) + 1:
            raise manifest.error(
                f"'plan.classes' must be {len(model.classes)} and the background, "
                f"not {plan.classes}"
            )
        for name in plan.named_files:
            if name not in files:
                raise manifest.error(f"the plan names {name}, which is not among its files")
        if isinstance(plan, CudaPlan):
            _check_launches(plan, target["cpu"], len(known["operators"]), manifest)
        return cls(
            model=model,
            target=TargetInfo(**{**target, "features": tuple(target["features"])}),
            precision=known["precision"],
            int8_share=known["int8_share"],
            plan=plan,
            parity=tuple(known["parity"]),
            operators=tuple(known["operators"]),
            compiler=known["compiler"],
            files=files,
        )

    def to_json(self) -> str:
        """The text, the inverse of `from_json`."""
        values = {"schema": SCHEMA, **asdict(self), "model": json.loads(self.model.to_json())}
        return json.dumps(values, ensure_ascii=False, indent=1)


def _check_schema(schema: Any, where: str, manifest: JsonText) -> None:
    if type(schema) is not int:
        raise manifest.error(f"'schema' must be a whole number, not {json.dumps(schema)[:60]}")
    if schema != SCHEMA:
        newer = "install a newer edge-passd, or " if schema > SCHEMA else ""
        raise BadInput(
            f"{where}: bundle schema {schema}, this edge-passd reads {SCHEMA}; "
            f"{newer}compile the model again with this one"
        )


def _check_launches(plan: CudaPlan, cpu: str, operators: int, manifest: JsonText) -> None:
    if plan.architectures != cpu:
        raise manifest.error(f"'target.cpu' must be {plan.architectures}, as the images, not {cpu}")
    if len(plan.launches) != operators:
        raise manifest.error(
            f"'plan.launches' must be one for each of {operators} operators, "
            f"not {len(plan.launches)}"
        )
    if any(launch.grid[2] != plan.batch for launch in plan.launches):
        raise manifest.error("'plan.launches' must all have as many blocks along z, one a photo")


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _are_versions(value: Any) -> bool:
    return is_object(value) and all(map(is_text, value.values()))


def _are_objects(value: Any) -> bool:
    return is_object(value) and all(map(is_object, value.values()))


_OBJECTS = Field(is_list_of(is_object), "a list of objects")
_SIZE = Field(is_size, "a whole number from 0 up")

_MANIFEST = {
    "model": OBJECT,
    "target": OBJECT,
    "precision": WORD,
    "int8_share": Field(
        lambda value: value is None or FRACTION.is_good(value), "a number from 0 to 1, or null"
    ),
    "plan": OBJECT,
    "parity": _OBJECTS,
    "operators": _OBJECTS,
    "compiler": Field(_are_versions, "an object of versions"),
    "files": Field(_are_objects, "an object of objects"),
}
_TARGET = {
    "kind": Field(lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "board": WORD,
    "triple": WORD,
    "machine": Field(lambda value: value in MACHINES, f"one of {', '.join(MACHINES)}"),
    "cpu": WORD,
    "features": WORDS,
}
_OPERATOR = {"name": TEXT, "kind": TEXT, "macs": _SIZE}
_FILE = {"sha256": Field(_is_digest, "64 hexadecimal digits"), "bytes": _SIZE}
