"""A search's best networks and the baselines trained in full: the front at full fidelity."""
