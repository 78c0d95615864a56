"""Blocks of networks: description, module, and cost beside forward."""
