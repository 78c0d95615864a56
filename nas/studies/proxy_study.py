"""How honest a search's proxy is: a sample of its networks retrained in full, ranks compared."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.config.loading import built, read_values
from nas.config.pairs import key_of
from nas.config.retraining import ProxyStudyConfig
from nas.retraining.plan import Plan, make_plan
from nas.retraining.retrain import Note, OnEpoch, retrain
from results import Run, load_run, write_atomic
from results.statistics.rank_agreement import LEAST, rank_agreement
from results.strict_json import dumps


@dataclass(frozen=True)
class ProxyStudy:
    """``agreement``: a row per epoch of the proxy; ``networks``: a row per network, ``full`` its test accuracy."""

    agreement: pd.DataFrame
    networks: pd.DataFrame
    verdict: str


def proxy_study(
    source: str | Path,
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    on_epoch: OnEpoch = lambda seed, epochs, metrics: None,
    note: Note = lambda text: None,
    **options: Any,
) -> ProxyStudy:
    """Retrain a sample of a run's complete trials and compare ranks, epoch by epoch of the proxy.

    Half of the sample lies along the front, half over the range of the other trials' accuracy. ``overrides``
    (``networks=8``, ``epochs=30``) are of ``ProxyStudyConfig``, ``Recipe`` and ``RetrainConfig``; ``options`` are
    ``retrain``'s. Writes ``proxy_study.json`` and ``.csv`` to ``out`` (default:
    ``proxy_study`` in the run folder), each network in a folder of its own there; the same call again goes on.

    Raises:
        ValueError: if fewer networks than a rank correlation needs are asked for, or can be trained.
    """
    own, others = _sorted(overrides)
    config = built(lambda plain: ProxyStudyConfig(**plain), own, "--set")
    run = load_run(source)
    chosen = sample_networks(run, config.networks, config.seed)
    plan, _ = make_plan(str(source), trial=chosen[0], overrides=others, **options)
    folder = Path(out) if out else run.path / "proxy_study"
    folder.mkdir(parents=True, exist_ok=True)
    full = {}
    with _one_ray(plan, folder):
        for place, trial in enumerate(chosen, start=1):
            note(f"network {place} of {len(chosen)}: trial {trial}")
            network = folder / f"trial-{trial:05d}"
            try:
                found = retrain(
                    source,
                    network,
                    on_epoch=on_epoch,
                    note=note,
                    trial=trial,
                    overrides=others,
                    **options,
                )
            except FloatingPointError as error:
                note(f"trial {trial} is left out: {error}")
                continue
            full[trial] = found.mean["top1"]
    study = _compare(run, pd.Series(full, name="full"))
    _write(folder, study)
    return study


def sample_networks(run: Run, count: int, seed: int = 0) -> list[int]:
    """Numbers of complete trials: half evenly along the front, half one from each share of the others' ranks.

    Raises:
        ValueError: if ``count`` is too small for a rank correlation, or there are not so many.
    """
    complete = run.complete.dropna(subset=["accuracy"])
    if not LEAST <= count <= len(complete):
        raise ValueError(
            f"networks {count}: must be at least {LEAST}, and at most {len(complete)}, the complete trials of "
            f"{run.path}"
        )
    front = [int(trial) for trial in run.comparable_front()["trial"]]
    ranked = complete.sort_values("accuracy", kind="stable")["trial"]
    rest = [int(trial) for trial in ranked if trial not in front]
    # half, and more where there are too few others
    of_front = min(len(front), max((count + 1) // 2, count - len(rest)))
    along = (
        {
            front[int(place)]
            for place in np.linspace(0, len(front) - 1, of_front).round()
        }
        if front
        else set()
    )
    rng = np.random.default_rng(seed)
    parts = (
        # one of each share of the ranks: a plain draw would crowd in the middle
        np.array_split(np.array(rest, dtype=int), count - len(along))
        if count > len(along)
        else []
    )
    return sorted(along | {int(rng.choice(part)) for part in parts})


def _sorted(overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The settings of the study itself, and the overrides of each retraining."""
    names = ProxyStudyConfig.model_fields
    own = [each for each in overrides if key_of(each) in names]
    others = [each for each in overrides if each not in own]
    return read_values("study", own, {"study": "{}"}), others


def _one_ray(plan: Plan, folder: Path) -> AbstractContextManager[None]:
    """One Ray for all networks, since starting it takes longer than an epoch."""
    if plan.engine == "serial":
        return nullcontext()
    from nas.engines.ray_cluster import connected

    return connected(plan.ray, folder / "log.txt")


def _compare(run: Run, full: pd.Series[Any]) -> ProxyStudy:
    whole = run.epochs["trial"].isin(full.index)
    epochs = run.epochs[whole]
    proxy = epochs.pivot_table(index="trial", columns="epoch", values="accuracy")
    agreement = rank_agreement(proxy, full)
    # the proxy's accuracies by epoch beside the full one
    named = proxy.add_prefix("epoch_").join(full)
    facts = run.trials.set_index("trial")[["arch_id", "accuracy", "flops"]]
    table = facts.join(named, how="inner").reset_index()
    front = run.comparable_front()
    table["on_front"] = table["trial"].isin(front["trial"])
    return ProxyStudy(agreement, table, proxy_verdict(agreement.iloc[-1]))


def proxy_verdict(last: pd.Series[Any]) -> str:
    """How the proxy ranks, by the row of ``rank_agreement`` for its last epoch."""
    proxy = f"your {int(last['epoch'])}-epoch proxy"
    of = f"{int(last['networks'])} networks"
    if np.isnan(last["kendall"]):
        return f"{proxy} cannot be judged: of {of} all have the same accuracy, in the search or in full"
    between = (
        f"{of}, too few for an interval"
        if np.isnan(last["kendall_lower"])
        else f"{last['kendall_lower']:.2f} to {last['kendall_upper']:.2f}, 95 % interval of {of}"
    )
    return f"{proxy} ranks at tau {last['kendall']:.2f} ({between})"


def _write(folder: Path, study: ProxyStudy) -> None:
    content = {
        "verdict": study.verdict,
        "agreement": study.agreement.to_dict("records"),
        "networks": study.networks.to_dict("records"),
    }
    write_atomic(folder / "proxy_study.json", dumps(content, indent=2) + "\n")
    write_atomic(folder / "proxy_study.csv", study.networks.to_csv(index=False))
