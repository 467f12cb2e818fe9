"""Annotated photos for training: readers, checks, augmentation, batches."""
