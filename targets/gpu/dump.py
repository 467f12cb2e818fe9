"""`compile --dump` for a GPU: TIR, CUDA C++, machine code, what each kernel takes, and memory."""

from __future__ import annotations

from collections.abc import Iterator

from targets.dump import Dump
from targets.gpu.assemble import Assembled
from targets.gpu.codegen import gpu_source
from targets.gpu.images import Built
from targets.gpu.kernel import module_of
from targets.gpu.sass import disassemble, tensor_instructions


def dump_kernels(dump: Dump, assembled: Assembled) -> None:
    """kernels.cu is whole: the CUDA compiler of any board takes it, `nvcc -cubin -arch=sm_87`."""
    if not dump:
        return
    lowered = assembled.lowered
    module = module_of({kernel.name: kernel for kernel in lowered.kernels})
    dump.write("module.py", module.script())
    dump.write("kernels.cu", gpu_source(lowered.source))
    dump.memory(lowered.workspace, lowered.constants)
    for built in assembled.images:
        if built.image.ptx_version is None:
            sass = disassemble(built.content)
            dump.write(f"resources.{built.image.architecture}.txt", "\n".join(_lines(built, sass)))
            if sass:
                dump.write(f"kernels.{built.image.architecture}.sass", sass)
        else:
            dump.write(built.image.file, built.content.decode())


def _lines(built: Built, sass: str | None) -> Iterator[str]:
    """Of each kernel: registers, spills, shared memory, and the instructions that multiply."""
    for each in built.resources:
        found = tensor_instructions(sass, each.kernel) if sass else {}
        counts = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
        yield (
            f"{each.kernel:40} {each.registers:3} registers {each.spilled:3} bytes spilled "
            f"{each.shared:6} bytes shared  {counts}"
        ).rstrip()
