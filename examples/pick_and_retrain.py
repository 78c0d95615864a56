"""Pick under limits, train the pick in full, test it, load it; first_search.py comes before this."""

import json
import sys
from pathlib import Path

from evaluators import load_model, read_model_folder
from nas import retrain
from results import load_run

if __name__ == "__main__":
    run = load_run("runs/first-search")
    middle = float(run.complete["latency_ms"].median())
    pick = run.select(maximize="accuracy", under={"latency_ms": middle})
    print(pick.why)

    Path("pick.json").write_text(json.dumps({"arch": pick.arch, "run": str(run.path)}))
    overrides = ["epochs=4", "engine=serial", *sys.argv[1:]]
    found = retrain(
        "pick.json", "runs/picked", data="digits", overrides=overrides, engine="serial"
    )
    print(f"{found.mean['top1']:.1%} of the test images, which no search has seen")

    model, facts = load_model("runs/picked"), read_model_folder("runs/picked")
    print(
        sum(weights.numel() for weights in model.parameters()),
        "parameters; classes",
        facts.labels,
    )
