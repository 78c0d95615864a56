"""A first search: 12 small networks on handwritten digits, and the front of accuracy, latency and FLOPs."""

import sys

from nas import load_config, search

if __name__ == "__main__":
    config = load_config("quick", ["trials=12", "training.epochs=3", *sys.argv[1:]])
    run = search(config, "runs/first-search", serial=True)

    print(run.front()[["trial", "accuracy", "latency_ms", "flops", "params"]])
    print("open runs/first-search/report.html")
