"""The finalists of a run: networks that were trained in full, beside baselines, as a run of its own inside it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from results.metrics import metric
from results.runs.loading import load_run
from results.runs.run import Run

FINALISTS = "finalists"
"""Their folder in that of the run."""
MEANS = ("accuracy", "top1")


@dataclass(frozen=True)
class FinalistsOutcome:
    """What ``finalists.json`` of a run says: the ``verdict`` in sentences, the most important first, and a row
    per network (docs/finalists.md names the columns)."""

    verdict: list[str]
    networks: pd.DataFrame


def load_outcome(path: str | Path) -> FinalistsOutcome | None:
    """What the full trainings of the run at ``path`` came to; None as long as there is no outcome.

    Raises:
        ValueError: for a file that is damaged.
    """
    source = Path(path) / FINALISTS / "finalists.json"
    if "://" in str(path) or not source.is_file():
        return None
    try:
        told = json.loads(source.read_text(encoding="utf-8"))
        verdict = [str(sentence) for sentence in told["verdict"]]
        rows = [dict(row) for row in told["networks"]]
        networks = pd.DataFrame(rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{source}: cannot be read ({error})") from error
    # JSON's null has made them floats
    counts = [name for name in networks if metric(str(name)).kind == "count"]
    return FinalistsOutcome(verdict, networks.astype(dict.fromkeys(counts, "Int64")))


def load_finalists(path: str | Path) -> Run | None:
    """The networks of the run at ``path`` that have been trained to the end in full; None if there are none.

    A run with a row per network: ``accuracy`` and ``top1`` are means over its seeds, ``seeds`` tells how many
    there are. ``role`` says why it was trained (``finalist``, ``published``, ``random``, ``own``), ``network``
    what it is called, ``search_trial`` and ``proxy_accuracy`` what it was in the search.

    Raises:
        ValueError: for a log that cannot be read.
    """
    if "://" in str(path) or not (Path(path) / FINALISTS / "events.db").is_file():
        return None
    run = load_run(Path(path) / FINALISTS)
    networks = per_network(run.trials)
    return replace(run, trials=networks, stamp=None) if len(networks) else None


def per_network(trials: pd.DataFrame) -> pd.DataFrame:
    """A row per network of the complete ``trials``: the means of its trainings, and their number ``seeds``.

    Everything else is that of its first training. Networks keep the order of their first trials.
    """
    done = trials[trials["status"] == "complete"].sort_values("trial")
    # by network, not by trial: each seed is a trial of its own
    first = done.drop_duplicates("arch_id").set_index("arch_id", drop=False)
    by_network = done.groupby("arch_id", sort=False)
    means = {
        name: by_network[name].mean().reindex(first.index)
        for name in MEANS
        if name in done
    }
    counts = by_network.size().reindex(first.index).astype("Int64")
    return first.assign(**means, seeds=counts).reset_index(drop=True)
