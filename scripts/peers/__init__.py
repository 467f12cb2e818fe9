"""Other small detectors, to be measured beside the compiled model; `scripts/setup_peers` first.

Weights come from their authors; how boxes are read from outputs is written here, from the published
architectures, in numpy.
"""
