"""Populations of networks compared, and published models beside them."""
