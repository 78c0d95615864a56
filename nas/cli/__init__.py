"""What a person at the command line sees: tables, live views, progress, the watch server."""
