"""The run folder: its files, its lock, what is picked from it."""
