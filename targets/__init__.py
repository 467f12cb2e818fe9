"""From an ONNX model to a compiled bundle for a board."""
