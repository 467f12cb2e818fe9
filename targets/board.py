"""What a CPU's board is to the compiler: data. Adding one is an entry in its target's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_passd.errors import BadInput
from targets.isa.arithmetic import Arithmetic


@dataclass(frozen=True)
class Board:
    """A preset.

    says: what it is, for people. triple, cpu, attributes: LLVM's. features: what the processor must
    have, by their names in /proc/cpuinfo. arithmetic: by precision. cores: of its processor. tiles:
    the processor whose tile sizes it takes, itself or one like it.
    """

    name: str
    says: str
    kind: str
    machine: str
    triple: str
    cpu: str
    attributes: tuple[str, ...]
    features: tuple[str, ...]
    arithmetic: Mapping[str, type[Arithmetic]]
    cores: int
    tiles: str

    def arithmetic_of(self, precision: str) -> Arithmetic:
        """Raises BadInput for a precision that the target does not have."""
        if precision not in self.arithmetic:
            raise BadInput(
                f"{self.kind} has no {precision} kernels; it has {' and '.join(self.arithmetic)}"
            )
        return self.arithmetic[precision]()
