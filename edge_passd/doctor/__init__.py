"""What this machine can do, and what to do where it cannot."""
