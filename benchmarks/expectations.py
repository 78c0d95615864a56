"""What people expect of software that they choose, 25 things, each tried as a stranger would.

    python benchmarks/expectations.py           all, one line each; exit code 1 unless 25 of 25
    python benchmarks/expectations.py hub ONNX  those whose title has such a word

A wheel is built and installed into a fresh environment that borrows only the packages of this one, and everything
is run with that installation in an empty folder, by its command line or in a Python of its own. An expectation
that fails says how. Needs a clone installed by `make install`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import yaml
from stranger import ROOT, TINY, Stranger, installed

sys.path.insert(0, str(ROOT))


def pip_install(me: Stranger) -> str:
    where = me.python("import nas; print(nas.__file__)")
    assert str(ROOT / "nas") not in where, where
    return me.types("--version").strip()


def ten_lines(me: Stranger) -> str:
    page = (ROOT / "docs" / "index.md").read_text()
    (text,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert text.count("\n") <= 10, text
    start = 'load_config("quick", ['
    code = text.replace(start, f"{start}*{list(TINY)}, ")
    return f"{text.count(chr(10))} lines: {me.python(code).splitlines()[-1]}"


def notebook(me: Stranger) -> str:
    import nbformat
    from nbclient import NotebookClient

    found = nbformat.read(ROOT / "examples" / "search_to_picture.ipynb", as_version=4)
    smaller = nbformat.v4.new_code_cell(f"settings += {[*TINY, 'trials=2']}")
    found.cells.insert(2, smaller)
    resources = {"metadata": {"path": str(me.folder)}}
    NotebookClient(found, resources=resources).execute()
    outputs = [output for cell in found.cells for output in cell.get("outputs", ())]
    kinds = {kind for output in outputs for kind in output.get("data", ())}
    assert "application/vnd.plotly.v1+json" in kinds, kinds
    return f"{len(found.cells)} cells, ends with a picture and a network"


def own_training(me: Stranger) -> str:
    return me.example("own_training", *TINY, "trials=1").splitlines()[-1]


def ask_and_tell(me: Stranger) -> str:
    return f"best of its own loop: {me.example('own_loop').splitlines()[-1]}"


def dashboard(me: Stranger) -> str:
    server = me.starts("report", "runs/first", "--watch")
    try:
        assert server.stdout
        address = server.stdout.readline().split()[0]
        with urlopen(address + "data.json") as answer:  # noqa: S310 - http on loopback
            trials = json.load(answer)["trials"]["trial"]
    finally:
        server.terminate()
        server.wait()
    return f"served at {address} with {len(trials)} trials"


def dry_run(me: Stranger) -> str:
    pairs = [word for each in (*TINY, "trials=3") for word in ("--set", each)]
    said = me.types("search", "quick", "--dry-run", "--out", "runs/dry", *pairs)
    assert not (me.folder / "runs" / "dry").exists()
    return next(line for line in said.splitlines() if line.startswith("time"))


def batch_and_rate(me: Stranger) -> str:
    code = """import sys
from results import load_run
print(load_run(sys.argv[1]).epochs["learning_rate"].iloc[0])"""
    rates = []
    for size in (32, 128):
        settings = ("trials=1", "training.epochs=2", f"training.batch_size={size}")
        me.searches(f"runs/batch-{size}", *settings)
        rates.append(float(me.python(code, f"runs/batch-{size}")))
    ratio = rates[1] / rates[0]
    assert 3 < ratio < 5, rates
    said = (ROOT / "docs" / "training.md").read_text()
    assert "scales with the batch" in said
    return f"explained, and so: four times the batch, {ratio:.1f} times the rate"


def resume(me: Stranger) -> str:
    me.types("resume", "runs/first", "--serial", "--set", "trials=6")
    trials = json.loads(me.types("status", "runs/first", "--json"))["trials"]
    assert trials["complete"] == 6, trials
    return "4 trials became 6"


def warm_start(me: Stranger) -> str:
    settings = ("trials=2", "space.radix=[0,1,2,4]", "start_from=[runs/first]")
    me.searches("runs/warm", *settings)
    code = """from results import load_run
old, new = load_run("runs/first"), load_run("runs/warm")
print(new.trials["arch_id"].iloc[0] in set(old.front()["arch_id"]))"""
    assert me.python(code).strip() == "True"
    return "the first network tried is one of the old front"


def knobs_that_matter(me: Stranger) -> str:
    code = """from results import importance, load_front
print(importance(load_front("cifar10-small").complete)["knob"].iloc[0])"""
    return f"most of all {me.python(code).strip()}"


def constraints(me: Stranger) -> str:
    most = 250_000
    settings = ("trials=3", "space.width3=[16,24,32]", "space.width4=[16,32,64]")
    me.searches("runs/limited", *settings, f"limits={{macs: {most}}}")
    networks = json.loads(me.types("front", "runs/limited", "--json"))["networks"]
    assert networks
    assert all(each["macs"] <= most for each in networks), networks
    return f"{len(networks)} networks on the front, none above {most:,} MACs"


def what_is_wrong(me: Stranger) -> str:
    said = me.searches("runs/none", "trials=2", "limits={latency_ms: 1.0e-6}", code=1)
    assert "no trial was trained to its end" in said, said[-300:]
    assert me.types("doctor").startswith("splitsearch")
    return said.strip().splitlines()[-1]


def when_to_stop(me: Stranger) -> str:
    me.searches("runs/plateau", "trials=40", "stop={plateau: {trials: 2}}")
    found = json.loads(me.types("status", "runs/plateau", "--json"))
    assert 0 < found["trials"]["complete"] < 40, found
    return str(found["ended"])


def seeds(me: Stranger) -> str:
    for name in ("one", "two"):
        me.searches(f"runs/seed-{name}", "trials=2", "seed=7", "space.radix=[1,2,4]")
    code = """from results import load_run
a, b = (load_run(f"runs/seed-{name}").trials[["arch_id", "accuracy"]] for name in ("one", "two"))
print(a.equals(b))"""
    assert me.python(code).strip() == "True"
    return "the same seed, the same networks and accuracies"


def errors(me: Stranger) -> str:
    said = me.types("search", "quick", "--set", "trainin.epochs=2", code=2)
    assert said.count("\n") == 1, said
    assert "training" in said, said
    return said.strip()


def models(me: Stranger) -> str:
    code = """from nas import create
from search_spaces import list_networks
names = list_networks("*fast*")
print(len(names), create("resnest14d", num_classes=3).__class__.__name__)"""
    count, kind = me.python(code).split()
    said = me.types("measure", "resnest51", code=2)
    assert "did you mean resnest50 or " in said, said
    return f"{count} names match *fast*; resnest14d is built as a {kind}"


def hub(me: Stranger) -> str:
    from tests.nas.exporting.hub_server import TOKEN, running_hub

    me.types("export", "runs/final", "--out", "model", "--no-onnx", "--no-program")
    with running_hub() as server:
        where = {"HF_ENDPOINT": server.address, "HF_TOKEN": TOKEN}
        me.types("push", "model", "me/digits", **where)
        me.types("load", "me/digits", "--out", "back", **where)
    weights = "model.safetensors"
    same = (me.folder / "back" / weights).read_bytes()
    assert same == (me.folder / "model" / weights).read_bytes()
    return "to a hub on loopback and back, byte for byte"


def onnx(me: Stranger) -> str:
    me.types("export", "runs/final", "--out", "deployed", "--no-program")
    code = """import numpy as np, onnxruntime, torch
from evaluators import load_model
images = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
session = onnxruntime.InferenceSession("deployed/model.onnx")
found = session.run(None, {"images": images})[0]
print(abs(found - load_model("deployed")(torch.from_numpy(images)).detach().numpy()).max())"""
    difference = float(me.python(code))
    assert difference < 1e-3, difference
    return f"onnxruntime's logits differ by {difference:.1e}"


def table(me: Stranger) -> str:
    me.types("front", "runs/first", "--out", "front.csv")
    picked = json.loads(me.types("select", "runs/first", "--knee", "--json"))
    header, *rows = (me.folder / "front.csv").read_text().splitlines()
    return f"{len(rows)} rows, {len(header.split(','))} columns; {picked['why']}"


def examples(me: Stranger) -> str:
    index = (ROOT / "examples" / "README.md").read_text()
    names = re.findall(r"\]\((\w+)\.(?:py|ipynb)\)", index)
    said = me.example("exact_costs").splitlines()[0]
    return f"{len(names)} questions; the one on costs prints: {said}"


def faq(me: Stranger) -> str:
    said = me.types("search", "quick", "--out", "runs/first", code=2)
    page = (ROOT / "docs" / "faq.md").read_text()
    rows = re.findall(r"^\| `([^`]+)`.*?\|.*?\|(.*?)\|$", page, re.MULTILINE)
    symptom, fix = next((what, fix) for what, fix in rows if what in said)
    return f"{symptom!r} is found, with: {fix.strip()}"


def changelog_and_old_runs(me: Stranger) -> str:
    version = me.types("--version").split()[1].rstrip(",")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    old = ROOT / "tests" / "nas" / "run_before_transactions"
    shutil.copytree(old, me.folder / "runs" / "old")
    trials = json.loads(me.types("status", "runs/old", "--json"))["trials"]
    return f"{version} has its entry; a log of an earlier one reads: {trials}"


def citation_and_contributing(me: Stranger) -> str:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "title", "authors", "version"} <= set(citation)
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    targets = sorted(set(re.findall(r"\bmake ([a-z-]+)", guide)))
    make = ["make", "--dry-run", *targets]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    return f"cites as {citation['title']}; make {', '.join(targets)} exist"


def typed(me: Stranger) -> str:
    (me.folder / "mine.py").write_text(
        "from results import load_run\n\nrun = load_run('a')\nreveal_type(run.seconds)\nload_run(3)\n"
    )
    mypy = [sys.executable, "-m", "mypy", "mine.py", "--no-error-summary"]
    python = ["--python-executable", str(me.bin / "python")]
    said = subprocess.run(
        [*mypy, *python], cwd=me.folder, capture_output=True, text=True, check=False
    ).stdout
    assert 'Revealed type is "float"' in said.replace("builtins.", ""), said
    assert said.count("error:") == 1, said
    return "mypy knows the type of run.seconds and refuses load_run(3)"


EXPECTATIONS: dict[str, Callable[[Stranger], str]] = {
    "pip install": pip_install,
    "ten lines to a result": ten_lines,
    "a notebook": notebook,
    "bring your own training": own_training,
    "ask and tell": ask_and_tell,
    "a dashboard": dashboard,
    "a dry run": dry_run,
    "batch size and rate": batch_and_rate,
    "resume, and more trials": resume,
    "a warm start": warm_start,
    "which knob matters": knobs_that_matter,
    "constraints": constraints,
    "what is wrong with my search": what_is_wrong,
    "when to stop": when_to_stop,
    "seeds": seeds,
    "errors with a fix": errors,
    "list and load models": models,
    "a hub": hub,
    "ONNX": onnx,
    "a table to choose from": table,
    "examples": examples,
    "FAQ by symptom": faq,
    "changelog and old runs": changelog_and_old_runs,
    "citation and contributing": citation_and_contributing,
    "a typed API": typed,
}


def main(words: list[str]) -> int:
    chosen = [
        name for name in EXPECTATIONS if not words or any(w in name for w in words)
    ]
    with tempfile.TemporaryDirectory() as place:
        me = installed(Path(place))
        me.searches("runs/first", "trials=4", "space.radix=[0,1,2,4]")
        epochs = ("--serial", "--set", "epochs=1")
        me.types("retrain", "runs/first", "--out", "runs/final", *epochs)
        met = sum(tried(name, me) for name in chosen)
    print(f"{met} of {len(chosen)}")
    return int(met < len(chosen))


def tried(name: str, me: Stranger) -> bool:
    """Try it, and print a line of what was seen."""
    started = time.perf_counter()
    try:
        mark, seen = "ok  ", EXPECTATIONS[name](me)
    except Exception as error:
        mark, seen = "FAIL", f"{type(error).__name__}: {error}"
    place = list(EXPECTATIONS).index(name) + 1
    took = time.perf_counter() - started
    seen = " ".join(seen.split())
    print(f"{mark} {place:2} {name}: {seen:.160} ({took:.0f} s)", flush=True)
    return mark == "ok  "


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
