"""Target cuda: Jetson boards and PC GPUs. Their presets."""

from __future__ import annotations

from edge_passd.engines.cuda_driver import GpuInfo, capability_name, this_gpu
from edge_passd.errors import BadInput
from targets.gpu.board import GpuBoard, Peak
from targets.presets import NATIVE, find_board

DEFAULT = "jetson"

# Clocks, cores and bandwidths are those of NVIDIA's data sheets of the modules, at the highest
# power mode that the module was released with. The rest follows from them: a core does one
# multiply-add a clock, a tensor core 64 in fp16 (Volta) or 256 (Orin), and twice that in int8,
# which gives the sheets' own figures for Orin's GPU: half of 170, 60 and 40 sparse TOP/s.
BOARDS = {
    board.name: board
    for board in (
        # 128 cores, 921.6 MHz. It could multiply halves two by two, 0.472 in all; our kernels
        # multiply them as floats, for the sums' sake. No dot products of int8.
        GpuBoard(
            "jetson-nano", "Maxwell, JetPack 4", ("sm_53",), 1, Peak(25.6, 0.236, 0.236)
        ),
        # 384 cores, 48 tensor cores, 1100 MHz. The first data sheets said 51.2 GB/s.
        GpuBoard(
            "jetson-xavier-nx", "Volta, JetPack 4 and 5", ("sm_72",), 6,
            Peak(59.7, 0.845, 6.76, 13.5),
        ),
        # The 8 GB module: 1024 cores, 32 tensor cores, 625 MHz. "Super", from JetPack 6.2 on, is
        # 1020 MHz and 102 GB/s.
        GpuBoard(
            "jetson-orin-nano", "Ampere, JetPack 5 and 6", ("sm_87",), 8,
            Peak(68, 1.28, 10.2, 20.5),
        ),
        # The 16 GB module: the same, 918 MHz.
        GpuBoard(
            "jetson-orin-nx", "Ampere, JetPack 5 and 6", ("sm_87",), 8,
            Peak(102.4, 1.88, 15.0, 30.1),
        ),
        # The 64 GB module: 2048 cores, 64 tensor cores, 1300 MHz.
        GpuBoard(
            "jetson-agx-orin", "Ampere, JetPack 5 and 6", ("sm_87",), 16,
            Peak(204.8, 5.32, 42.6, 85.2),
        ),
        # T5000: 2560 cores, 1575 MHz. What its tensor cores do with the instructions that older
        # GPUs have too, the data sheet does not say.
        GpuBoard("jetson-thor", "Blackwell, JetPack 7", ("sm_110",), 20, Peak(273, 8.06)),
        GpuBoard("jetson", "any Jetson from Xavier on", ("sm_72", "sm_87")),
        GpuBoard("desktop-sm61", "Pascal: GeForce GTX 10, P4, P40", ("sm_61",)),
        GpuBoard("desktop-sm80", "Ampere: A100, A30", ("sm_80",), 108),
        GpuBoard("desktop-sm86", "Ampere: GeForce RTX 30, A10, A40", ("sm_86",)),
        GpuBoard("desktop-sm89", "Ada: GeForce RTX 40, L4, L40", ("sm_89",)),
        GpuBoard("desktop-sm90", "Hopper: H100, H200", ("sm_90",), 132),
        GpuBoard("desktop-sm120", "Blackwell: GeForce RTX 50", ("sm_120",)),
        GpuBoard(
            "desktop", "any PC GPU from 2020 on",
            ("sm_80", "sm_86", "sm_89", "sm_90", "sm_120"),
        ),
    )
}  # fmt: skip


def choose_board(name: str | None) -> GpuBoard:
    """The preset of that name; None: the default, whatever this machine has.

    Raises BadInput for a name that is not known, or `native` on a machine without a GPU that a
    preset is for.
    """
    return native(this_gpu()) if name == NATIVE else find_board(BOARDS, name or DEFAULT)


def native(gpu: GpuInfo) -> GpuBoard:
    """The preset for a GPU and no other; the first, as Orins do not say which of them they are.

    Raises BadInput where there is none.
    """
    architecture = capability_name(gpu.capability)
    for board in BOARDS.values():
        if board.architectures == (architecture,):
            return board
    raise BadInput(
        f"no board is for {architecture}, this machine's GPU ({gpu.name}); name one of an older "
        f"GPU, whose PTX runs on newer ones: {', '.join(BOARDS)}"
    )
