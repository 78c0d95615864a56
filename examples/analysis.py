"""A finished search in pandas: which knobs matter, how sure the front is, what random search would have found."""

from results import front_probability, importance, load_front

if __name__ == "__main__":
    # published with the package; load_run("runs/mine") for your own
    run = load_front("cifar10-small")
    objectives = {"accuracy": "max", "latency_ms": "min"}
    chosen = ["trial", "accuracy", "latency_ms", "macs", "arch.radix"]
    print(run.front(objectives)[chosen].head().to_string(index=False))

    by_radix = run.complete.groupby("arch.radix")["accuracy"]
    print(by_radix.agg(["count", "mean", "max"]))
    # the share of accuracy's spread that goes when a knob is shuffled
    print(importance(run.complete).head())

    # 5,000 validation images: how often each network is on the front, given the noise
    sure = front_probability(run.complete, objectives, validation_images=5000)
    surest = run.complete.assign(sure=sure).nlargest(3, "sure")
    print(surest[["trial", "accuracy", "sure"]])
