"""How fast compiled models are on a GPU beside PyTorch: built on one machine, measured on another.

    .venv/bin/python scripts/bench_gpu.py build --out gpu --float FLOAT.onnx
    python scripts/bench_gpu.py measure gpu.npz.xz --json gpu.json
    .venv/bin/python scripts/bench_gpu.py page gpu.json --page docs/gpu.md

`build` needs what `edge-passd compile` needs, and no GPU. `measure` needs a GPU, numpy, OpenCV,
PyTorch for CUDA and, for its operator, torchvision. It checks everything against the reference
first, then measures what matters most first; started again with the same --json it goes on where
time ran out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where nothing is installed

from edge_passd.errors import BadInput
from edge_passd.files import read_json, require_writable

# Each command's own imports stand in it: none of them has all of the others' libraries.

BEGIN, END = "<!-- scripts/bench_gpu.py writes from here -->", "<!-- to here -->"
MOST_PHOTOS = 16
PRECISIONS = ("int8", "fp16", "fp32")


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except BadInput as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


def build(options: argparse.Namespace) -> None:
    from bench.gpu_build import BuildOptions
    from bench.gpu_build import build as build_folder
    from bench.gpu_folder import pack

    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise BadInput(f"{options.out} exists; name a new folder")
    settings = BuildOptions(
        options.out, options.float_model, options.photos, tuple(options.board),
        tuple(options.classes), tuple(options.precision), tuple(options.batch), options.size,
        MOST_PHOTOS,
    )  # fmt: skip
    for said in build_folder(settings):
        print(said, flush=True)
    packed = pack(options.out)
    print(f"{packed}: {packed.stat().st_size / 1e6:.1f} MB")


def measure(options: argparse.Namespace) -> None:
    from bench.gpu_folder import unpacked
    from bench.gpu_measure import Session
    from bench.gpu_measure import measure as measure_folder
    from bench.gpu_tables import tables

    require_writable(options.json)
    with unpacked(options.folder) as folder:
        session = Session(
            folder, options.json, options.device, options.rounds, options.burst,
            60 * options.minutes,
        )  # fmt: skip
        for said in measure_folder(session):
            print(f"{session.left:4.0f} s left: {said}", flush=True)
    print(tables(session.result))


def page(options: argparse.Namespace) -> None:
    from bench.gpu_tables import tables
    from bench.page import replace_between

    text = tables(read_json(options.json, "the figures of `bench_gpu.py measure`"))
    replace_between(options.page, BEGIN, END, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    each = commands.add_parser("build", help="Compile all models; needs no GPU.")
    each.set_defaults(run=build)
    each.add_argument("--out", type=Path, required=True, help="A new folder.")
    each.add_argument(
        "--float", dest="float_model", type=Path,
        help="The shipped model in float, .onnx or run folder; without it, random weights.",
    )  # fmt: skip
    each.add_argument("--photos", type=Path, help=f"A folder; {MOST_PHOTOS} are taken at most.")
    each.add_argument(
        "--board", nargs="+", default=["desktop-sm90", "jetson-nano"],
        help="The first is compared with PyTorch; of the others only correctness is checked.",
    )  # fmt: skip
    each.add_argument("--classes", nargs="+", type=int, default=[6, 21, 81])
    each.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    each.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    each.add_argument("--size", type=int, default=320)
    each = commands.add_parser("measure", help="Check and time them; needs a GPU.")
    each.set_defaults(run=measure)
    each.add_argument("folder", type=Path, help="What `build` wrote, or its .npz.xz.")
    each.add_argument("--json", type=Path, required=True, help="The figures, after each step.")
    each.add_argument("--rounds", type=int, default=30)
    each.add_argument("--burst", type=int, default=20, help="Timed runs of each in a round.")
    each.add_argument("--minutes", type=float, default=9.0, help="No new step begins after them.")
    each.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help=argparse.SUPPRESS)
    each = commands.add_parser("page", help="Write the tables into a page.")
    each.set_defaults(run=page)
    each.add_argument("json", type=Path)
    each.add_argument("--page", type=Path, required=True, help="With the markers in it.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
