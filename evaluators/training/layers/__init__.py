"""Layers as training needs them: norms over all processes and over enough images, blocks dropped at random."""
