"""CUDA kernels on an ordinary processor, thread by thread: a check where no GPU is."""
