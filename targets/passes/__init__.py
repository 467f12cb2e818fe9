"""What happens to a graph between ONNX and TIR, one pass a file, in this order."""

from targets.passes.add_borders import add_borders

PASSES = (add_borders,)
