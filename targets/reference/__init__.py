"""What an exported graph means, in numpy: the yardstick of the compiler, operator by operator."""

from targets.reference.evaluate import evaluate
from targets.reference.reference import Reference

__all__ = ["Reference", "evaluate"]
