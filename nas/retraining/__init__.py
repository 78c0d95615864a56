"""The selected network trained in full, on Ray Train or in one process."""
