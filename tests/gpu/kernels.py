"""A small CUDA source in the form of ours, and NVIDIA's assembler to judge what is made of it."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ON_X86 = platform.machine() == "x86_64"
needs_nvrtc = pytest.mark.skipif(not ON_X86, reason="NVRTC 11.8's wheel is for x86-64 alone")

_ARGUMENTS = "unsigned char *constants, unsigned char *workspace, float *image, float *boxes, "
_ARGUMENTS += "float *scores"

KERNELS = ("mirror", "products")
# mirror: fp32 through 256 bytes of shared memory. products: int8 on tensor cores where there are
# any, dot products otherwise; from sm_61 on both ways are said in one instruction.
SOURCE = f"""
extern "C" __global__ void mirror({_ARGUMENTS}) {{
  __shared__ float line[64];
  line[threadIdx.x] = image[threadIdx.x];
  __syncthreads();
  boxes[threadIdx.x] = line[63 - threadIdx.x] * scores[0] + scores[1];
}}

extern "C" __global__ void products({_ARGUMENTS}) {{
  int *words = reinterpret_cast<int *>(workspace) + threadIdx.x;
#if __CUDA_ARCH__ >= 720
  int sum[8];
  asm("wmma.mma.sync.aligned.row.col.m16n16k16.s32.s8.s8.s32"
      "{{%0, %1, %2, %3, %4, %5, %6, %7}}, {{%8, %9}}, {{%10, %11}},"
      "{{%12, %12, %12, %12, %12, %12, %12, %12}};"
      : "=r"(sum[0]), "=r"(sum[1]), "=r"(sum[2]), "=r"(sum[3]), "=r"(sum[4]), "=r"(sum[5]),
        "=r"(sum[6]), "=r"(sum[7])
      : "r"(words[0]), "r"(words[32]), "r"(words[64]), "r"(words[96]), "r"(0));
  for (int i = 0; i < 8; ++i) words[32 * i] = sum[i];
#else
  words[0] *= words[32];
#endif
}}
"""

# More values alive in a thread than the 64 registers that this many threads leave to each.
CROWDED = f"""
extern "C" __global__ void __launch_bounds__(1024) crowded({_ARGUMENTS}) {{
  float values[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) values[i] = image[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 96; ++i)
    boxes[(95 - i) * 1024 + threadIdx.x] = values[i] * values[(i + 1) % 96];
}}
"""

# An instruction that came with PTX 7.6 and exists from sm_70 on.
NOVEL = f"""
extern "C" __global__ void novel({_ARGUMENTS}) {{
  unsigned *words = reinterpret_cast<unsigned *>(workspace), mask;
  asm("bmsk.clamp.b32 %0, %1, %2;" : "=r"(mask) : "r"(words[0]), "r"(words[1]));
  words[2] = mask;
}}
"""


def refusal(ptx: bytes, folder: Path) -> str:
    """What the assembler of CUDA 11.8 has against PTX; "" if it takes it."""
    spec = find_spec("nvidia")
    assert spec is not None
    assert spec.submodule_search_locations
    found = re.search(rb"^\.target (sm_\d+)", ptx, re.MULTILINE)
    assert found is not None
    file = folder / "kernels.ptx"
    file.write_bytes(ptx)
    tool = Path(spec.submodule_search_locations[0], "cuda_nvcc", "bin", "ptxas")
    done = subprocess.run(
        [tool, "-arch", found[1].decode(), file, "-o", folder / "out.cubin"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr
