"""For the emulated Python: a model's inferences on a photo, on one thread, marked for the counter.

    python3 infer.py MODEL PHOTO TIMES

A first inference is followed by a mark, TIMES more by a mark each; then, for a bundle, two calls of
none of its operators, and one of each operator, are followed by a mark each. Prints a JSON object:
the engine's name and the model's information.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from arm.mark import mark
from edge_passd.bundle import read_bundle
from edge_passd.engines.table import load_engine
from edge_passd.engines.tvm import TvmEngine
from edge_passd.model_info import ModelInfo
from edge_passd.photo import read_photo
from edge_passd.preprocess import to_input


def main() -> None:
    model, photo, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    engine = load_engine(model, threads=1)
    info = ModelInfo.from_json(engine.metadata, str(model))
    image, _ = to_input(read_photo(photo), info.input_size, info.resize)
    bundle = read_bundle(model) if isinstance(engine, TvmEngine) else None
    engine.run(image)
    mark()
    for _ in range(times):
        engine.run(image)
        mark()
    if bundle and isinstance(engine, TvmEngine):
        for _ in range(2):  # the first of anything costs Python more than the next
            engine.run_operators(image, 0, 0)
            mark()
        for first in range(len(bundle.manifest.operators)):
            engine.run_operators(image, first, first + 1)
            mark()
    print(json.dumps({"engine": engine.name, "model": info.to_json()}))


if __name__ == "__main__":
    main()
