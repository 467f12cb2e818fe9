"""Training, quantisation and export: everything that needs PyTorch."""
