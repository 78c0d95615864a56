"""Images in files: where each lies, of which split and class it is."""
