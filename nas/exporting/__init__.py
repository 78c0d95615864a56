"""A trained network on its way to others: programs, model card."""
