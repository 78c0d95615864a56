"""A report of many trials: seconds to load and write, its size, and how soon a browser shows it.

    python benchmarks/report.py --trials 10000

Wall and processor seconds are both printed: on a busy machine the latter tell what the work takes. The browser's
part needs playwright and chromium, and says so where they are missing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nas.runs.stages import write_run_report
from results import Event, EventLog, load_run
from search_spaces import Arch, Task, complexity, get_space

Data = dict[str, Any]
EPOCHS = 9
OBJECTIVES = {"accuracy": "max", "latency_ms": "min", "flops": "min"}
SCROLL = """(async () => {
    const times = [];
    for (let y = 0, last = performance.now(); y < document.body.scrollHeight; y += 80) {
        scrollTo(0, y);
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - last);
        last = performance.now();
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
})()"""
TASK = Task(10, 32, 3, small_images=True)


def synthesize(folder: Path, trials: int) -> None:
    """A log as a search leaves it: half trained to the end, the others stopped, infeasible or failed."""
    rng, space = np.random.default_rng(0), get_space("resnest")
    began = {"config": {"data": "cifar10", "trials": trials}, "objectives": OBJECTIVES}
    drafts: list[tuple[str, int | None, Data]] = [("search_started", None, began)]
    for trial in range(trials):
        drafts += [(kind, trial, data) for kind, data in told(space.sample(rng), rng)]
    # one transaction for all: only the reading is timed
    with EventLog(folder / "events.db") as log:
        log.restore(
            Event(0, 1.76e9 + 2 * place, kind, trial, data)
            for place, (kind, trial, data) in enumerate(drafts)
        )
    (folder / "environment.json").write_text(json.dumps({"task": asdict(TASK)}))


def told(arch: Arch, rng: np.random.Generator) -> Iterator[tuple[str, Data]]:
    """What the log says of one trial, whose fate is drawn."""
    identity = {"arch_id": arch.id, "space": "resnest", "seed": 0}
    knobs = get_space("resnest").params(arch)
    yield "proposed", identity | {"arch": arch.to_dict(), "knobs": knobs}
    cost, fate = complexity(arch, TASK), rng.random()
    if fate < 0.03:
        yield "finished", {"status": "failed", "error": "out of memory"}
        return
    yield "measured", {"flops": cost.flops, "macs": cost.macs, "params": cost.params}
    if fate < 0.06:
        reason = f"flops {cost.flops} is outside the limit"
        yield "finished", {"status": "infeasible", "error": reason}
        return
    latency = cost.flops**0.4 / 500 * rng.lognormal(0, 0.2)
    yield "measured", {"latency_ms": latency, "device": "one"}
    top = 0.3 + 0.05 * np.log10(cost.flops) + 0.02 * rng.normal()
    last = EPOCHS if fate > 0.5 else int(rng.choice([1, 3]))
    for epoch in range(1, last + 1):
        accuracy = top * (1 - 0.5 * np.exp(-epoch / 2))
        yield "epoch", {"epoch": epoch, "accuracy": accuracy}
    status = "complete" if last == EPOCHS else "stopped"
    yield "finished", {"status": status, "error": None}


def timed(name: str, work: Callable[[], object]) -> None:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    print(
        f"{name:26} {time.perf_counter() - wall:6.2f} s wall {time.process_time() - processor:6.2f} s processor"
    )


def open_in_browser(report: Path) -> None:
    """By the page's own clock: from the start of the navigation to the first frame with all charts, and after."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("browser: not measured, playwright is not installed")
        return
    chromium = shutil.which("chromium")
    if chromium is None:
        print("browser: not measured, there is no chromium")
        return
    frame = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(report.as_uri())
        print(f"{'open (page clock)':26} {page.evaluate(frame) / 1000:6.2f} s")
        longest = "(() => { const t = performance.now(); choiceChanged(); return performance.now() - t; })()"
        print(f"{'change a filter':26} {page.evaluate(longest) / 1000:6.2f} s")
        print(f"{'a frame of scrolling':26} {page.evaluate(SCROLL):6.1f} ms (median)")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesize(folder, trials)
        timed("load", lambda: load_run(folder))
        timed("load and write the report", lambda: write_run_report(folder))
        report = folder / "report.html"
        print(f"{'size':26} {report.stat().st_size / 1e6:6.2f} MB")
        open_in_browser(report)


if __name__ == "__main__":
    main()
