"""What the speed measurements of `bench_host.py`, `bench_arm.py` and `bench_gpu.py` are made of."""

from pathlib import Path

# A real photo that is in the repository.
PHOTO = Path(__file__).parents[2] / "docs" / "images" / "chelsea.png"
