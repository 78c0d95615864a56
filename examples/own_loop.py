"""Your own loop asks and tells: the networks are measured where you like, by what you like."""

import sys

from nas import AskTell, load_config
from search_spaces import complexity

settings = [
    "trials=12",
    "objectives={accuracy: max, flops: min}",
    "reference_point=null",
]
config = load_config("quick", [*settings, *sys.argv[1:]])

with AskTell(config, "runs/own-loop") as search:
    while work := search.ask():
        size = complexity(work.arch).params
        for epoch in range(1, config.training.epochs + 1):
            accuracy = 1 - 1 / (epoch * size**0.2)  # train an epoch here
            if not search.report(work.trial, {"epoch": epoch, "accuracy": accuracy}):
                break
        else:
            search.finish(work.trial)
    print(search.best()[["trial", "accuracy", "flops"]].to_string(index=False))
