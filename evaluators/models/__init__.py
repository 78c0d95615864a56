"""A trained network as a folder, and its predictions for image files."""
