"""For the emulated Python: runs a model on a photo some number of times, on one thread.

    python3 repeat.py MODEL PHOTO TIMES

Prints a JSON object: the engine's name, the model's information, and of a bundle where its library
lies in memory.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

from edge_passd.bundle import read_bundle
from edge_passd.engines.table import load_engine
from edge_passd.model_info import ModelInfo
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input

PAGE = 4096


def address_of(library: bytes) -> int:
    """Found by how it begins: the file that it was loaded from has no name of its own."""
    begin = library[:PAGE]
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, offset, _, inode = line.split()[:5]
        start = int(addresses.partition("-")[0], 16)
        if inode != "0" and int(offset, 16) == 0 and ctypes.string_at(start, len(begin)) == begin:
            return start
    raise LookupError("the bundle's library is not in memory")


def main() -> None:
    model, photo, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    engine = load_engine(model, threads=1)
    info = ModelInfo.from_json(engine.metadata, str(model))
    image, _ = to_input(read_photo(photo), info.input_size, info.resize)
    for _ in range(times):
        engine.run(image)
    report = {"engine": engine.name, "model": info.to_json()}
    if model.suffix == ".passd":
        bundle = read_bundle(model)
        report["address"] = hex(address_of(bundle.files[bundle.manifest.plan.library]))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
