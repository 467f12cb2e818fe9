"""GPUs: the same operators as `targets.operators`, as kernels of blocks of threads."""
