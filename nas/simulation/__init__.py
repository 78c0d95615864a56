"""Searches under a virtual clock, in made-up or recorded worlds."""
