"""What of a run deserves a second look: each concern with its number and a way out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from textwrap import shorten

import pandas as pd

from results.metrics import is_knob
from results.runs.fidelity import at_epoch, stopping_epochs
from results.runs.run import Run
from results.statistics.rank_agreement import LEAST_FOR_INTERVAL, rank_agreement

ENOUGH = 10
"""Networks trained to the end that a judgement needs at least."""
NUMBER = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?"
"""What differs between two failures for one reason."""


@dataclass(frozen=True)
class Concern:
    """``seen`` is a sentence with what was counted or measured, ``advice`` says what can be done about it."""

    topic: str
    seen: str
    advice: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.seen}; {self.advice}"


def health(run: Run) -> list[Concern]:
    """What is odd about a run, finished or not; empty where nothing is, or too little is known to tell."""
    return [finding for check in CHECKS for finding in check(run)]


def _noise(run: Run) -> Iterator[Concern]:
    """Whether accuracies differ by more than chance: a share of n images has the binomial's standard error."""
    images = _validation_images(run)
    known = run.complete["accuracy"].dropna()
    if not images or len(known) < ENOUGH:
        return
    mean = float(known.mean())
    spread = float(known.std())
    # binomial: each image is right or wrong
    error = sqrt(mean * (1 - mean) / images)
    if 2 * error > spread:
        yield Concern(
            "validation noise",
            f"an accuracy on {images:,} validation images is good to ±{100 * error:.2g} points (standard "
            f"error), and the networks differ by {100 * spread:.2g} (standard deviation)",
            "give data.validation or data.subset more images, and retrain several networks before you choose",
        )


def _validation_images(run: Run) -> int | None:
    """How many images accuracies were measured on; None where the run does not say."""
    data = run.config.get("data")
    settings = data if isinstance(data, dict) else {}
    recorded = run.environment.get("images")
    by_class = recorded.get("images") if isinstance(recorded, dict) else None
    total = sum(by_class.values()) if by_class else settings.get("subset")
    share = settings.get("validation")
    return round(total * share) if total and isinstance(share, float) else None


def _latency(run: Run) -> Iterator[Concern]:
    if not {"latency_ms", "latency_iqr_ms"} <= set(run.complete):
        return
    complete = run.complete
    spread = (complete["latency_iqr_ms"] / complete["latency_ms"]).dropna()
    if len(spread) >= ENOUGH and spread.median() > 0.1:
        yield Concern(
            "latency spread",
            f"repeated measurements of one network spread by {spread.median():.0%} of its latency (median of "
            f"the interquartile ranges of {len(spread)} networks)",
            "measure on a quieter machine or a device of its own (latency.resource)",
        )


def _duplicates(run: Run) -> Iterator[Concern]:
    count = int((run.trials["status"] == "duplicate").sum())
    if count >= 5 and count > 0.2 * len(run.trials):
        yield Concern(
            "duplicates",
            f"{count} of {len(run.trials)} proposals were networks that had been tried already",
            "the space is nearly used up for this sampler: give knobs more choices, or end here",
        )


def _failures(run: Run) -> Iterator[Concern]:
    advice = "report.html lists all reasons under Failed and rejected"
    failed = run.trials[run.trials["status"] == "failed"]
    if len(failed) > 0.05 * len(run.trials):
        yield Concern("failures", _how_many(run, failed, "failed"), advice)
    advice = "narrow the space, or loosen that limit: each of them cost a measurement"
    outside = run.trials[run.trials["status"] == "infeasible"]
    if len(outside) > 0.3 * len(run.trials):
        yield Concern("limits", _how_many(run, outside, "ended over a limit"), advice)


def _how_many(run: Run, lost: pd.DataFrame, words: str) -> str:
    """How many trials were lost, and the most frequent reason."""
    reasons = lost["error"].fillna("no reason given")
    # "flops 1.2e9" and "flops 1.3e9" are one reason
    alike = reasons.groupby(reasons.str.replace(NUMBER, "#", regex=True))
    often = max((members for _, members in alike), key=len)
    reason = shorten(often.iloc[0], 120, placeholder=" ...")
    count = f"{len(lost)} of {len(run.trials)} networks {words}"
    return f"{count}, {len(often)} of them for: {reason}"


def _edges(run: Run) -> Iterator[Concern]:
    """Knobs whose highest or lowest value holds most of the front, far more than of all networks tried."""
    front = run.comparable_front()
    for name in (str(column) for column in run.trials):
        if is_knob(name) and pd.api.types.is_integer_dtype(run.trials[name]):
            tried = run.trials[name].dropna()
            chosen = front[name].dropna()
            if len(chosen) >= 5 and tried.nunique() >= 3:
                yield from _edge(name.removeprefix("arch."), tried, chosen)


def _edge(
    knob: str, tried: "pd.Series[int]", chosen: "pd.Series[int]"
) -> Iterator[Concern]:
    for end, value in (("highest", tried.max()), ("lowest", tried.min())):
        there = int((chosen == value).sum())
        # most of the front, and more than the draw would explain
        crowded = there >= 0.8 * len(chosen)
        if crowded and (tried == value).mean() < 0.6:
            yield Concern(
                "knob at its edge",
                f"{there} of {len(chosen)} networks of the front have {knob} {value}, the {end} value tried",
                f"let the space go further there (space.{knob})",
            )


def _progress(run: Run) -> Iterator[Concern]:
    if run.no_front or not run.objectives or len(run.complete) < 2 * ENOUGH:
        return
    volumes = run.hypervolume_over_time()["hypervolume"].to_numpy()
    if not len(volumes) or not volumes[-1] > 0:
        return
    # networks since the last rise
    flat = len(volumes) - 1 - int((volumes < volumes[-1]).sum())
    before = volumes[-1 - len(volumes) // 5]
    if flat >= 2 * ENOUGH and 2 * flat > len(volumes):
        yield Concern(
            "plateau",
            f"the last {flat} of {len(volumes)} networks trained to the end did not move the front",
            "more of the same bring little: widen the space, train longer, or choose (select)",
        )
    elif run.ended and volumes[-1] > 1.05 * before > 0:
        yield Concern(
            "still rising",
            f"the last fifth of the networks raised the hypervolume by {volumes[-1] / before - 1:.0%}",
            "the search had not settled: resume it with more trials or hours",
        )


def _rung(run: Run) -> Iterator[Concern]:
    """Whether the accuracy by which networks were first stopped ranks those that trained on as their end does."""
    epochs = stopping_epochs(run.trials)
    complete = run.complete
    if not epochs or len(complete) < LEAST_FOR_INTERVAL:
        return
    early = at_epoch(complete, run.epochs, epochs[0]).set_index("trial")[["accuracy"]]
    agreement = rank_agreement(early, complete.set_index("trial")["accuracy"])
    tau, upper = (
        float(agreement[name].iloc[0]) for name in ("kendall", "kendall_upper")
    )
    if upper < 0.5:
        yield Concern(
            "stopping by lot",
            f"after epoch {epochs[0]}, where networks are first stopped, accuracies rank the {len(complete)} "
            f"that trained on like their end with tau {tau:.2f} (1: alike, 0: by chance)",
            "let the first decision wait (stopper.min_epochs)",
        )


def _unused(run: Run) -> Iterator[Concern]:
    hours = (run.config.get("stop") or {}).get("hours")
    if run.ended not in (None, "interrupted") and hours:
        used = run.seconds / 3600 / hours
        if used < 0.5:
            yield Concern(
                "unused budget",
                f"the search ended ({run.ended}) after {used:.0%} of its {hours:g} hours",
                "resume it with more trials to use the rest",
            )


def _few(run: Run) -> Iterator[Concern]:
    found = run.comparable_front()
    known = len(run.complete)
    few = 0 < len(found) <= 2
    if few and known >= 2 * ENOUGH and len(run.objectives) > 1:
        yield Concern(
            "few networks on the front",
            f"{len(found)} of {known} networks trained to the end beat all others",
            "the objectives hardly conflict here: ask for another cost, or widen the space",
        )


CHECKS: tuple[Callable[[Run], Iterator[Concern]], ...] = (
    *(_noise, _latency, _duplicates, _failures, _edges),
    *(_progress, _rung, _unused, _few),
)
