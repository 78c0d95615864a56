"""Images found, decoded once, split, and served as tensors."""
