"""Which short training ranks networks best, asked of your data before a search: several at the same cost.

Every candidate, and the truth, trains the same random networks by two seeds. A training is a trial of an ordinary
run, so all of it can be interrupted, and spread over a cluster.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from evaluators import DataSettings, load
from evaluators.training.fidelity import Fidelity
from nas.config.loading import load_config, read_values, validate
from nas.config.schema import SearchConfig
from nas.config.searched_recipe import SearchedRecipe
from nas.retraining.retrain import Note
from nas.studies.space_comparison import Watch, population, unwatched
from results import Run, write_atomic
from results.statistics.proxies import accuracies, compare_rankings
from results.statistics.rank_agreement import LEAST, LEAST_FOR_INTERVAL
from results.statistics.size_gain import size_gain
from results.strict_json import dumps
from results.wording import counted
from search_spaces.sampling.limits import LIMITED

SEEDS = 2
"""Of every training: how well one ranks as the other is the most that a ranking can agree with anything."""
TRUTH = "truth"
NO_NAME = r"[^\w.-]+"
"""What the name of a candidate may have, and that of a folder not."""
AS_CONFIGURED = "as configured"


@dataclass(frozen=True)
class ProxyComparison:
    """``table``: a row per candidate, the best first; ``settings`` are those of the recommended one.

    ``size_gain`` is what ``results.statistics.size_gain`` says of it: ``value``, ``lower``, ``upper``.
    """

    table: pd.DataFrame
    verdict: str
    settings: dict[str, object]
    size_gain: dict[str, float]


def compare_proxies(
    source: str,
    out: str | Path,
    *,
    candidates: str | Path | None = None,
    networks: int = 20,
    times: int = 5,
    overrides: Sequence[str] = (),
    note: Note = lambda text: None,
    watch: Watch = unwatched,
) -> ProxyComparison:
    """Judge candidates by what they foretell of a training ``times`` as long.

    ``source`` is a preset or a YAML file, ``candidates`` a YAML file of settings by name, ``{distinct images:
    {training: {images_per_epoch: 3000}}}`` say; without it they are the configured training and others of as many
    image visits. The truth trains by the last candidate's recipe. ``watch`` opens a view of each run. Leaves
    ``proxies.json`` and ``recommended.yaml`` in ``out``, and a run for each training; the same call again goes on.

    Raises:
        ValueError: for settings that do not fit, or an ``out`` that holds other trainings.
    """
    if networks < LEAST:
        raise ValueError(
            f"--networks: must be at least {LEAST} for ranks, got {networks}"
        )
    base = _cheap_limits(load_config(source, [*overrides, *_alone(networks)]))
    if isinstance(base.training, SearchedRecipe):
        name, choices = base.training.choices[0]
        raise ValueError(
            f"{source}: training.{name}: a proxy is one recipe; choose one of {list(choices)}"
        )
    known = _read(candidates, base) if candidates else standard_candidates(base)
    # the truth trains by the last candidate's recipe, the most careful one
    *_, last = known.values()
    trainings = known | {TRUTH: longer(last, times)}
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    starts = _networks_file(base, networks, out)
    runs = {}
    for name, config in trainings.items():
        for seed in range(SEEDS):
            note(
                f"{name}, seed {seed}: {counted(config.training.epochs, 'epoch')} of {networks}"
            )
            again = {"seed": seed, "start_from": (str(starts),)}
            folder = out / f"{re.sub(NO_NAME, '-', name)}-{seed}"
            runs[name, seed] = population(
                config.model_copy(update=again), folder, watch
            )
    comparison = _judge(runs, known)
    _write(comparison, out)
    return comparison


def standard_candidates(base: SearchConfig) -> dict[str, SearchConfig]:
    """The configured training, then step by step: distinct images, one cycle, Muon; the visits stay the same."""
    fidelity = _fidelity(base)
    data = base.data
    distinct = base.training
    if data.subset is not None:
        data = _whole(data, fidelity.validated)
        distinct = replace(distinct, images_per_epoch=fidelity.visits)
    cycle = replace(distinct, schedule="one_cycle", warmup_epochs=0.0)
    steps = {
        AS_CONFIGURED: (base.data, base.training),
        "distinct images": (data, distinct),
        "one cycle": (data, cycle),
        "muon": (data, replace(cycle, optimizer="muon")),
    }
    found: dict[str, SearchConfig] = {}
    for name, (images, recipe) in steps.items():
        config = base.model_copy(update={"data": images, "training": recipe})
        # a step may change nothing: what is configured can be Muon already
        if config not in found.values():
            found[name] = config
    return found


def longer(config: SearchConfig, times: int) -> SearchConfig:
    """The same training, ``times`` as long."""
    recipe = config.training
    warmup = recipe.warmup_epochs * times
    stretched = replace(recipe, epochs=recipe.epochs * times, warmup_epochs=warmup)
    return config.model_copy(update={"training": stretched})


def _alone(networks: int) -> list[str]:
    """Settings that have every network trained to its end, and nothing else measured."""
    return [
        "sampler=random",
        "stopper=none",
        "evaluators=[complexity, training]",
        "objectives={accuracy: max, macs: min}",
        "reference_point=null",
        "size_gain=0",
        f"trials={networks}",
    ]


def _cheap_limits(config: SearchConfig) -> SearchConfig:
    """Without limits on what is not measured here."""
    cheap = {name: limit for name, limit in config.limits.items() if name in LIMITED}
    return config.model_copy(update={"limits": cheap})


def _fidelity(config: SearchConfig) -> Fidelity:
    return Fidelity.of(load(config.data.absolute()), config.training)


def _whole(data: DataSettings, validated: int) -> DataSettings:
    """All images there are, of which as many as before validate."""
    everything = load(replace(data, subset=None).absolute())
    there = len(everything.train.labels) + len(everything.validation.labels)
    return replace(data, subset=None, validation=validated / there)


def _read(path: str | Path, base: SearchConfig) -> dict[str, SearchConfig]:
    """Candidates of a file: what each says of ``training`` and ``data`` goes over the configured."""
    plain = base.model_dump(mode="json")
    found = {}
    for name, said in read_values(str(path), (), {}).items():
        if name == TRUTH:
            raise ValueError(f"{path}: {TRUTH}: is what candidates are judged by")
        if not isinstance(said, dict) or not said.keys() <= {"training", "data"}:
            raise ValueError(
                f"{path}: {name}: must hold settings under training and data, got {said!r:.80}"
            )
        merged = {
            key: plain[key] | (said.get(key) or {}) for key in ("training", "data")
        }
        found[str(name)] = validate(plain | merged, f"{path}: {name}")
    return found


def _networks_file(base: SearchConfig, count: int, out: Path) -> Path:
    limits = {name: (limit.min, limit.max) for name, limit in base.limits.items()}
    task = load(base.data.absolute()).task
    # one set of networks for all: ranks compare only on the same ones
    rng = np.random.default_rng(base.seed)
    draws = base.space.build().samples(rng, limits, task)
    networks = [arch.to_dict() for arch in islice(draws, count)]
    path = (out / "networks.json").absolute()
    write_atomic(path, json.dumps({"networks": networks}) + "\n")
    return path


def _judge(
    runs: Mapping[tuple[str, int], Run], known: Mapping[str, SearchConfig]
) -> ProxyComparison:
    rows = pd.concat(
        run.complete.assign(proxy=name, seed=seed) for (name, seed), run in runs.items()
    )
    table = compare_rankings(rows, TRUTH)
    best = table[table["proxy"] != TRUTH].iloc[0]
    config = known[str(best["proxy"])]
    settings: dict[str, Any] = {
        "training": asdict(config.training),
        "data": asdict(config.data),
    }
    gain = _size_gain(rows, str(best["proxy"]))
    if gain["lower"] > 0 and gain["upper"] < np.inf:
        settings["size_gain"] = round(gain["value"], 4)
    plain = json.loads(dumps(settings))
    verdict = f"{_verdict(table, best)}; {_size_in_words(gain)}"
    return ProxyComparison(table, verdict, plain, gain)


def _size_gain(trials: pd.DataFrame, proxy: str) -> dict[str, float]:
    accuracy = accuracies(trials)
    params = trials.groupby("arch_id")["params"].first()
    truth = accuracy[TRUTH].mean(axis=1)
    value, (lower, upper) = size_gain(accuracy[proxy], truth, params)
    return {"value": value, "lower": lower, "upper": upper}


def _size_in_words(gain: Mapping[str, float]) -> str:
    if np.isnan(gain["lower"]):
        return (
            f"whether size counts beyond it takes {LEAST_FOR_INTERVAL} networks to tell"
        )
    ends = " to ".join(f"{100 * gain[end]:.1f}" for end in ("lower", "upper"))
    if gain["lower"] <= 0 or gain["upper"] == np.inf:
        return f"that size counts beyond it is not shown ({ends} points for twice the parameters)"
    return (
        f"twice the parameters make up for {100 * gain['value']:.1f} points of that training's accuracy "
        f"({ends}): size_gain"
    )


def _verdict(table: pd.DataFrame, best: pd.Series[Any]) -> str:
    ceiling = table.loc[table["proxy"] == TRUTH, "with_itself"].iloc[0]
    rivals = table[table["proxy"] != TRUTH].iloc[1:]
    # ~ and <=: an unknown interval (NaN) rules nobody out
    worse = rivals["with_truth_upper"] <= best["with_truth"]
    alike = rivals[~worse]["proxy"]
    doubt = f"; not told apart from it: {', '.join(alike)}" if len(alike) else ""
    few = ", too few for intervals" if np.isnan(best["with_truth_lower"]) else ""
    return (
        f"search with {best['proxy']}: it ranks {int(best['networks'])} networks{few}, as the longer training "
        f"does at tau {best['with_truth']:.2f}, beyond the MACs {best['beyond_macs']:.2f}; "
        f"the longer training agrees with itself at {ceiling:.2f}{doubt}"
    )


def _write(comparison: ProxyComparison, out: Path) -> None:
    content = {
        "verdict": comparison.verdict,
        "size_gain": comparison.size_gain,
        "table": comparison.table.to_dict("records"),
    }
    write_atomic(out / "proxies.json", dumps(content, indent=2) + "\n")
    settings = yaml.safe_dump(comparison.settings, sort_keys=False)
    write_atomic(out / "recommended.yaml", f"# {comparison.verdict}\n{settings}")
