"""From a trained run to one ONNX file that every engine can run."""
