"""Training: matching, losses, the loop and its checkpoints."""
