"""Who runs trials: Ray Tune on a cluster, or one process, and what a worker does with a trial."""
