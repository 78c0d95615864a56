"""Training an epoch at a time: recipe, engine, scores, checkpoints."""
