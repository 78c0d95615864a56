"""Run folders as tables: load, combine, snapshot, status."""
