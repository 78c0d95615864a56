"""What is shown while something runs, and when it is done: one file a command."""
