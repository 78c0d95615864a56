"""Runs to show, and a browser to show them in."""

from pathlib import Path

from results import EventLog

STAGES = [
    {"name": "stem", "depth": 1, "width": 8, "resolution": 32},
    {
        "name": "stage 1",
        "depth": 3,
        "width": 64,
        "resolution": 16,
        "radix": 2,
        "cardinality": 1,
    },
]


COUNTS = {"complete": 30, "stopped": 20, "failed": 5, "running": 2}


PLACE_OF_FIRST_ON_FRONT = """(() => {
    const chart = $('scatter'), box = chart.getBoundingClientRect(), inner = chart._fullLayout;
    const front = chart.data.find(trace => trace.name === 'on the front');
    const x = inner._size.l + inner.xaxis.l2p(front.x[0]), y = inner._size.t + inner.yaxis.l2p(front.y[0]);
    return [box.x + x, box.y + y, front.customdata[0]];
})()"""


VISIBLE = "trace => trace.x.filter(v => v !== null).length"


def add_trial(log: EventLog, trial: int, status: str) -> None:
    knobs = {"radix": trial % 3, "note": "<img src=x onerror=alert(1)>"}
    log.append(
        "proposed",
        trial,
        arch_id=f"<b>{trial}</b>",
        space="resnest",
        arch=knobs,
        knobs=knobs,
        seed=0,
    )
    if status == "failed":
        log.append(
            "finished", trial, status="failed", error="<script>alert(1)</script>"
        )
        return
    log.append(
        "measured", trial, flops=10**6 * (trial + 1), latency_ms=1 + (trial * 7 % 31)
    )
    log.append("epoch", trial, epoch=1, accuracy=0.3 + trial / 200)
    if status == "complete":
        log.append("epoch", trial, epoch=2, accuracy=0.5 + (trial * 5 % 29) / 100)
    if status != "running":
        log.append("finished", trial, status=status, error=None)


def make_run(folder: Path) -> Path:
    folder.mkdir()
    with EventLog(folder / "events.db") as log:
        objectives = {"accuracy": "max", "latency_ms": "min", "flops": "min"}
        log.append(
            "search_started",
            config={"data": "digits", "trials": 60},
            objectives=objectives,
        )
        for trial, status in enumerate(
            name for name, count in COUNTS.items() for _ in range(count)
        ):
            add_trial(log, trial, status)
    return folder


def drawn(page, chart: str = "scatter") -> dict[str, int]:
    """Points of each trace, by name."""
    return dict(page.evaluate(f"$('{chart}').data.map(t => [t.name, ({VISIBLE})(t)])"))


def rows(page) -> list[int]:
    return page.evaluate(
        "[...document.querySelectorAll('#networks tbody tr')].map(r => +r.dataset.trial)"
    )
