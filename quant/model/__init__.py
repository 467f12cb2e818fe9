"""MobileNet-PASSD in PyTorch: backbone, feature pyramid and the propose-and-attend head."""

from quant.model.config import ModelConfig
from quant.model.passd import PASSD, Prediction

__all__ = ["PASSD", "ModelConfig", "Prediction"]
