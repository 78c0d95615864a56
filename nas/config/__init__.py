"""The settings of a search: their schema, presets and files."""
