"""What the speed measurements of `bench_host.py` and `bench_arm.py` are made of."""

from pathlib import Path

# A real photo that is in the repository.
PHOTO = Path(__file__).parents[2] / "docs" / "images" / "chelsea.png"
