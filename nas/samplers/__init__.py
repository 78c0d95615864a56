"""What to try next: our own sampler, Optuna's, and the proposer that asks them."""
