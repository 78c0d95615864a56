"""Settings under which the preset ``quick`` trains the smallest networks, for an epoch."""

TINY = [
    "training.epochs=1", "sampler=random", "latency.max_seconds=0.05", "latency.max_load=1", "latency.interval=1",
    "space.depth1=1", "space.depth2=1", "space.depth3=1", "space.width1=8", "space.width2=8", "space.width3=16",
    "space.width4=16",
]  # fmt: skip
