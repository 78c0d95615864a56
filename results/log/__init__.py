"""The event log: its kinds of event, the file, and what is left of a damaged one."""
