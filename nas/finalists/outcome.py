"""What the full trainings came to: proxy and full side by side, baselines, certainty, and the same in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from nas.finalists.certainty import ACCURACY, CLOSE, front_chances, standard_errors
from nas.finalists.lineup import Entrant, Role
from nas.finalists.plan import Work
from nas.retraining.plan import Plan
from nas.retraining.result import append_rows, write_results
from nas.retraining.retrain import Note
from nas.runs.stages import stage_reader
from results import Run, load_run, pareto_front, write_atomic, write_report
from results.objectives import Directions, Objectives
from results.runs.finalists import per_network
from results.statistics.rank_agreement import LEAST, LEAST_FOR_INTERVAL, rank_agreement
from results.strict_json import dumps
from results.wording import counted, with_unit

STRONG = 0.6
WEAK = 0.3
"""Kendall's tau from which on the proxy ranks well, and from which on it ranks at all."""
SURE = 0.9


@dataclass(frozen=True)
class Finals:
    """``networks`` has a row per network, those trained to the end first.

    Its columns beside those of a trials table: ``role``, ``network``, ``search_trial``, ``proxy_accuracy``,
    ``seeds``, ``accuracy_error`` (standard error of the mean), ``on_front`` and ``front_probability``. ``verdict``
    says it in sentences, the most important first. ``run`` is the run of finalists.
    """

    folder: Path
    run: Run
    networks: pd.DataFrame
    verdict: list[str]

    @property
    def front(self) -> pd.DataFrame:
        """The front at full fidelity, best in the first objective first."""
        aims = Objectives.of(self.run.objectives)
        return aims.best_first(self.networks[self.networks["on_front"]])

    def model_folder(self, arch_id: str) -> Path:
        """Where the trained network lies, as ``export`` takes it."""
        return self.folder / "networks" / arch_id


def conclude(work: Work, note: Note) -> Finals:
    """Write the model folder of every network trained to the end, the tables and the report."""
    run = load_run(work.folder)
    run = replace(run, trials=introduced(run.trials, work.entrants))
    for arch_id in per_network(run.trials)["arch_id"]:
        for text in _write_model(work, str(arch_id), run.trials):
            note(text)
    networks = _table(run, work.validation_images)
    told = verdict(run, networks, work.validation_images)
    finals = Finals(work.folder, run, networks, told)
    rows = networks.drop(columns=["started", "finished"]).to_dict("records")
    content = {"verdict": finals.verdict, "networks": rows}
    write_atomic(work.folder / "finalists.json", dumps(content, indent=2) + "\n")
    write_atomic(work.folder / "finalists.csv", networks.to_csv(index=False))
    run.export()
    for each in (run, load_run(work.run.path)):  # the search's page shows them too
        write_report(each, each.path / "report.html", stages=stage_reader(each))
    return finals


def _write_model(work: Work, arch_id: str, trials: pd.DataFrame) -> list[str]:
    """A retraining of all seeds of the network, as ``retrain`` leaves it, and its rows in the search's log."""
    same = trials["arch_id"] == arch_id
    own = trials[same & (trials["status"] == "complete")]
    entrant = next(each for each in work.entrants if each.arch.id == arch_id)
    seeds = sorted(int(seed) for seed in own["seed"])
    jobs = [work.training.job(entrant.arch, seed) for seed in seeds]
    found_at = {
        "trial": entrant.trial,
        "run": str(work.run.path.absolute()) if entrant.trial is not None else None,
        "seeds": len(jobs),
    }
    plan: Plan = jobs[0].plan.model_copy(update=found_at)
    folder = work.training.folder / arch_id
    return append_rows(plan, write_results(folder, plan, jobs, work.dataset), folder)


def introduced(trials: pd.DataFrame, entrants: Sequence[Entrant]) -> pd.DataFrame:
    """``trials`` with who each network is, also where a training failed before it could tell."""
    by_id = {entrant.arch.id: entrant for entrant in entrants}
    who = [by_id[arch_id] for arch_id in trials["arch_id"]]
    told = trials.assign(
        role=[str(entrant.role) for entrant in who],
        network=[entrant.name for entrant in who],
    )
    further = [name for name in ("search_trial", "proxy_accuracy") if name not in told]
    return told.reindex(columns=[*told, *further])


def _table(run: Run, validation_images: int) -> pd.DataFrame:
    done = with_best_random(per_network(run.trials), run.objectives)
    others = run.trials[~run.trials["arch_id"].isin(done["arch_id"])]
    others = others[others["status"] != "complete"].drop_duplicates("arch_id")
    if len(done):
        errors = standard_errors(done, run.trials, validation_images)
        # before noise: what was measured
        front = pareto_front(done, run.objectives).index
        done = done.assign(
            accuracy_error=errors,
            on_front=done.index.isin(front),
            front_probability=front_chances(done, run.objectives, errors),
        )
        done = Objectives.of(run.objectives).best_first(done)
    others = others.assign(on_front=False)
    table = pd.concat([done, others], ignore_index=True) if len(done) else others
    wanted = ("seeds", "accuracy_error", "front_probability")
    return table.reindex(
        columns=[*table, *(name for name in wanted if name not in table)]
    )


def with_best_random(networks: pd.DataFrame, objectives: Directions) -> pd.DataFrame:
    """Without the random networks but the best in the first objective: the best of so many is the baseline."""
    random = networks[networks["role"] == Role.RANDOM]
    # what random search finds is the best of its draws, not their mean
    worse = Objectives.of(objectives).best_first(random).index[1:]
    return networks.drop(index=worse).reset_index(drop=True)


def verdict(run: Run, networks: pd.DataFrame, validation_images: int) -> list[str]:
    """What a person should know, the most important first: a baseline that wins stands before all else."""
    done = networks[networks["status"] == "complete"]
    if done.empty:
        return [
            "No network has been trained to its end.",
            *filter(None, (_failures(run),)),
        ]
    proxy = proxy_in_words(run) if ACCURACY in run.epochs else None
    judged = proxy is not None
    sentences = [*_against_baselines(done, run.objectives, validation_images, judged)]
    front = done[done["on_front"]]
    sure = int((front["front_probability"] >= SURE).sum())
    sentences.append(
        f"{counted(len(front), 'network')} on the front at full fidelity, "
        f"{sure} of them with a probability of at least {SURE:.0%}"
        f" (on these {counted(validation_images, 'validation image')})."
    )
    if proxy is None and ACCURACY in run.epochs:
        proxy = f"Whether the search's short trainings rank takes {LEAST_FOR_INTERVAL} finalists or more to tell."
    return [*sentences, *filter(None, (proxy, _failures(run)))]


def _failures(run: Run) -> str | None:
    """Which trainings failed, and why the first did."""
    failed = run.trials[run.trials["status"] == "failed"]
    if failed.empty:
        return None
    first = failed.iloc[0]
    return (
        f"{counted(len(failed), 'training')} failed, that of {first['network']} by: "
        f"{first['error']}"
    )


def _against_baselines(
    done: pd.DataFrame, objectives: Directions, validation_images: int, judged: bool
) -> Iterator[str]:
    """The best of the search against the best baseline, in the first objective, and what to do about it.

    ``judged``: a later sentence says whether the short trainings ranked.
    """
    name, way = next(iter(objectives.items()))
    searched = done["role"] == Role.FINALIST
    if searched.all() or not searched.any():
        return
    aims = Objectives.of(objectives)
    ours, theirs = (
        aims.best_first(each).iloc[0] for each in (done[searched], done[~searched])
    )
    baseline = f"{_called(theirs)} ({with_unit(name, theirs[name])})"
    best = f"{ours['network']} ({with_unit(name, ours[name])})"
    ahead = (theirs[name] - ours[name]) * (1 if way == "max" else -1)
    close = name == ACCURACY and abs(ahead) < CLOSE * math.hypot(
        ours["accuracy_error"], theirs["accuracy_error"]
    )
    doubt = ", but within the error of the two" if close else ""
    if ahead > 0:
        yield f"A BASELINE WINS: {baseline} is better than {best}, the best of the search{doubt}."
    else:
        yield f"The best of the search, {best}, is no worse than the best baseline, {baseline}{doubt}."
    if close:
        yield (
            f"{counted(validation_images, 'validation image')} and these trainings do not tell the two apart: "
            "more images tell more (data.validation), so do seeds (finalists.seeds); or take the cheaper one."
        )
    elif ahead > 0:
        yield (
            "The search has not found what it should: give it more trials, or let it begin with the baseline "
            f"(start_from){'; see below whether its short trainings rank' if judged else ''}."
        )


def _called(row: pd.Series[Any]) -> str:
    if row["role"] == Role.RANDOM:
        return f"the best random network, {row['network']}"
    return (
        f"{'published' if row['role'] == Role.PUBLISHED else 'your'} {row['network']}"
    )


def proxy_in_words(run: Run) -> str | None:
    """Whether the short trainings ranked the finalists as the full ones do, where all of them still trained.

    None where too few can be compared for a rank correlation.
    """
    trials = run.trials[run.trials["role"] == Role.FINALIST]
    first = trials.drop_duplicates("arch_id").dropna(subset=["proxy_accuracy"])
    curves = run.epochs.pivot_table(index="trial", columns="epoch", values=ACCURACY)
    # only epochs that all of them reached: later ones are of survivors
    curves = curves.reindex(first["trial"]).dropna(how="all").dropna(axis=1)
    if len(curves) < LEAST or curves.empty:
        return None
    epoch = curves.columns[-1]
    full = curves.iloc[:, -1]
    proxy = first.set_index("trial")[["proxy_accuracy"]].astype(float)
    row = rank_agreement(proxy, full).iloc[0]
    tau = row["kendall"]
    if math.isnan(tau):
        return "The search's short trainings cannot be judged: accuracies are all the same."
    how = (
        "ranked them as the full trainings do"
        if tau >= STRONG
        else "ranked them weakly"
        if tau >= WEAK
        else "did not rank them: choose by the full trainings only"
    )
    ends = row["kendall_lower"], row["kendall_upper"]
    # of so few networks an interval may not exist: then nobody can tell
    sure = f"{ends[0]:.2f} to {ends[1]:.2f}" if all(map(math.isfinite, ends)) else ""
    if not sure:
        how = "cannot be judged by so few networks"
    return (
        f"The search's short trainings {how} (tau {tau:.2f}{sure and f', {sure}'}, "
        f"{len(full)} networks after {counted(int(epoch), 'epoch')} in full)."
    )
