"""`python -m edge_passd`, which is also how `torchrun` starts a training."""

from edge_passd.cli.main import main

main()
