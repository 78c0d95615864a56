"""Does split attention help? The same networks of every family with each kind of attention, trained alike.

    python benchmarks/populations.py FOLDER [--networks 30] [--out runs/populations] [--table FILE] [--serial]
    python benchmarks/populations.py docs/evidence/populations.parquet [--figure FILE.html]

FOLDER holds CIFAR-10; a table that an earlier call kept is read, and nothing trained.

Per family, ``--networks`` random architectures within 5 % of 6 million MACs at 32x32 are drawn with split
attention of radix 2, and trained as they are and with every other kind in its place: none, squeeze-and-excitation
(``se``; RegNetY), radix 1, radix 4. Nothing else changes, so populations compare network by network. FBNetV2's
depthwise convolutions pay for every split: there each kind has networks of its own.
``--as-slow`` adds a kind: no attention, and stages so wide that the network is as slow as with radix 2.
``--recipe muon`` trains as the presets do: one pass over 18,000 images, 5,000 others at the end. ``--recipe sgd``
trains as they once did: ``--epochs`` passes over 3 of 5 of ``--images``, the rest at the end.
Each family is an ordinary run in ``--out``: called again, it goes on.

Prints, per family and kind: the median accuracy with an interval; the mean difference from ``--against``
(none), with Student's interval and the p-value of Wilcoxon's signed-rank test (of Mann and Whitney's where
networks are not the same), corrected after Holm for all comparisons. ``--table`` keeps every network with its
learning curve in one parquet file, ``--figure`` draws the error distributions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from as_slow import kept
from listed import train_all
from populations_figure import figure
from scipy import stats

from results import Quantile, Run, write_table
from search_spaces import Arch, SearchSpace, Task, get_space

MACS = (5.7e6, 6.3e6)
TASK = Task(num_classes=10, resolution=32, channels=3, small_images=True)
NONE, AS_SLOW = "none", "none, as slow as radix 2"
KEPT = ["macs", "flops", "params", "activations", "seconds", "accuracy", "arch"]

SMALL: dict[str, dict[str, Any]] = {
    "resnest": {
        "depth1": [1, 2, 3], "depth2": [1, 2, 3], "depth3": [1, 2, 3], "depth4": [1, 2], "width1": [8, 16],
        "width2": list(range(8, 49, 8)), "width3": list(range(16, 81, 8)), "width4": list(range(32, 145, 16)),
        "bottleneck_width": [64], "cardinality": [1], "stem_width": [8, 16], "deep_stem": [False],
        "avg_down": [True], "avd": [False, True], "avd_first": [False],
    },
    "regnety": {"depth": list(range(4, 17)), "w0": [8, 16, 24, 32], "group_width": [8, 16], "stem_width": [16],
                "gate_reduction": [4]},
    "fbnetv2": {
        "rows1": [1], "rows2": [1, 2], "rows3": [1, 2], "rows4": [1, 2, 3], "rows5": [1, 2],
        "operator": ["k3", "k5"], "repeat": [1, 2], "attended": [True], "features": [256, 384, 512],
        "resolution": [224], "width_multiplier": [0.5, 0.75, 1.0],
    },
}  # fmt: skip
"""Knobs narrowed to networks that small; the rest is drawn as the space has it."""

SPLIT = {f"split, radix {radix}": radix for radix in (1, 2, 4)}
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "resnest": {NONE: {"radix": 0}}
    | {kind: {"radix": radix} for kind, radix in SPLIT.items()},
    **dict.fromkeys(
        ("regnety", "fbnetv2"),
        {NONE: {"attention": "none"}, "se": {"attention": "se"}}
        | {
            kind: {"attention": "split", "radix": radix}
            for kind, radix in SPLIT.items()
        },
    ),
}
"""What to replace in an architecture for each kind of attention."""
COLOURS = {NONE: "grey", AS_SLOW: "black", "se": "orange"} | dict(
    zip(SPLIT, ("skyblue", "royalblue", "navy"), strict=True)
)
PAIRED = {"resnest": "split, radix 2", "regnety": "split, radix 2"}
"""Families whose kinds cost nearly the same MACs, and the kind that is drawn; FBNetV2 pays for its splits."""


def draw(family: str, count: int, kind: str) -> list[Arch]:
    only = {knob: [value] for knob, value in KINDS[family][kind].items()}
    space: SearchSpace = get_space(family, **SMALL[family], **only)
    return list(
        islice(
            space.samples(np.random.default_rng(0), task=TASK, limits={"macs": MACS}),
            count,
        )
    )


def networks(
    family: str, count: int, slow: Path | None = None
) -> Iterator[tuple[int, str, Arch]]:
    """Number, kind and architecture; paired, those of one number differ by their attention alone.

    ``slow`` keeps networks without attention that are as slow as those drawn; without it there are none.
    """
    if family in PAIRED:
        drawn = draw(family, count, PAIRED[family])
        bare = [replace(base, **KINDS[family][NONE]) for base in drawn]
        wide = kept(slow, list(zip(bare, drawn, strict=True)), TASK) if slow else []
        for number, base in enumerate(drawn):
            for kind, changes in KINDS[family].items():
                yield number, kind, replace(base, **changes)
            if slow:
                yield number, AS_SLOW, wide[number]
    else:
        populations = [draw(family, count, kind) for kind in KINDS[family]]
        for number, archs in enumerate(zip(*populations, strict=True)):
            for kind, arch in zip(KINDS[family], archs, strict=True):
                yield number, kind, arch


def recipe(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    if asked.recipe == "sgd":
        return {
            "data": {"subset": asked.images, "validation": 0.4},
            "training": {"epochs": asked.epochs},
        }
    return {
        "data": {"validation": 0.1},
        "training": {
            "epochs": 6,
            "images_per_epoch": 3000,
            "rung_images": 1000,
            "optimizer": "muon",
            "schedule": "one_cycle",
            "warmup_epochs": 0,
        },
    }


def train(family: str, asked: argparse.Namespace) -> Run:
    how = recipe(asked)
    settings = {
        "space": {"name": family, **SMALL[family]}
        | ({"radix": [0, 1, 2, 4]} if family == "resnest" else {}),
        "objectives": {"accuracy": "max", "macs": "min"},
        "evaluators": ["complexity", "training"],
        "data": {
            "name": "cifar10",
            "root": str(asked.folder.resolve()),
            **how["data"],
        },
        "training": {
            "batch_size": 64,
            "augment": {"shift": 4, "flip": True},
            "precision": asked.precision,
            **how["training"],
        },
    }
    archs = [arch for _, _, arch in listed(family, asked)]
    return train_all(archs, asked.out / family, settings, serial=asked.serial)


def listed(family: str, asked: argparse.Namespace) -> Iterator[tuple[int, str, Arch]]:
    slow = asked.out / f"{family}-as-slow.json" if asked.as_slow else None
    return networks(family, asked.networks, slow)


def table_of(run: Run, family: str, asked: argparse.Namespace) -> pd.DataFrame:
    """A row per network: ``family``, ``number``, ``kind``, its costs, its accuracy after every epoch."""
    known = run.complete.drop_duplicates("arch_id").set_index("arch_id")
    curves = run.epochs.pivot_table(
        index="trial", columns="epoch", values="accuracy"
    ).add_prefix("accuracy_")
    rows = []
    for number, kind, arch in listed(family, asked):
        if arch.id in known.index:
            trial = known.loc[arch.id]
            facts = {
                "family": family,
                "number": number,
                "kind": kind,
                "arch_id": arch.id,
            }
            rows.append(
                facts | trial[KEPT].to_dict() | curves.loc[trial["trial"]].to_dict()
            )
    return pd.DataFrame(rows)


def verdicts(table: pd.DataFrame, against: str = NONE) -> pd.DataFrame:
    """Per family that has the kind to compare with, and per kind."""
    rows = []
    for family, group in table.groupby("family", sort=False):
        accuracy = group.pivot_table(index="number", columns="kind", values="accuracy")
        if against not in accuracy:
            continue
        cost = group.groupby("kind")[["macs", "params"]].median()
        for kind in accuracy:
            middle = Quantile("accuracy", (0.5,))(group[group["kind"] == kind]).iloc[0]
            row = {"family": family, "kind": kind, "networks": accuracy[kind].count()}
            row |= {
                "median": middle["value"],
                "lower": middle["lower"],
                "upper": middle["upper"],
            }
            row |= {
                name: cost.loc[kind, name] / cost.loc[against, name] - 1
                for name in cost
            }
            if kind != against:
                row |= _gain(accuracy[kind], accuracy[against], paired=family in PAIRED)
            rows.append(row)
    found = pd.DataFrame(rows)
    tested = found["p"].notna()
    found.loc[tested, "p"] = _holm(found.loc[tested, "p"].to_numpy())
    return found


def _gain(
    kind: pd.Series[float], other: pd.Series[float], paired: bool
) -> dict[str, float]:
    """Mean of ``kind`` less mean of ``other``, with a 95 % interval, and how likely chance gives as much.

    NaN for a single network, as of a run that is soon interrupted.
    """

    both = kind.notna() & other.notna()
    samples = [
        (values[both] if paired else values.dropna()).to_numpy()
        for values in (kind, other)
    ]
    if min(map(len, samples)) < 2:
        return dict.fromkeys(("gain", "gain_lower", "gain_upper", "p"), float("nan"))
    test = stats.ttest_rel if paired else partial(stats.ttest_ind, equal_var=False)
    lower, upper = test(*samples).confidence_interval()
    rank_test = stats.wilcoxon if paired else stats.mannwhitneyu
    return {
        "gain": samples[0].mean() - samples[1].mean(),
        "gain_lower": lower,
        "gain_upper": upper,
        "p": rank_test(*samples).pvalue,
    }


def _holm(p: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of CIFAR-10, or a table")
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--as-slow", action="store_true", help="a kind more, paired")
    parser.add_argument("--recipe", default="muon", choices=["muon", "sgd"])
    parser.add_argument(
        "--images", type=int, default=5000, help="sgd: 3 of 5 train, 2 validate (5000)"
    )
    parser.add_argument("--epochs", type=int, default=6, help="sgd (6)")
    parser.add_argument(
        "--families", nargs="+", default=list(SMALL), choices=list(SMALL)
    )
    parser.add_argument(
        "--against",
        default=NONE,
        help="the kind that others are compared with",
        choices=COLOURS,
    )
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/populations"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--serial", action="store_true")
    asked = parser.parse_args()
    if asked.recipe == "muon" and (asked.images, asked.epochs) != (5000, 6):
        parser.error("--images and --epochs are of --recipe sgd")
    if asked.folder.suffix == ".parquet":
        table = pd.read_parquet(asked.folder)
    else:
        tables = [
            table_of(train(family, asked), family, asked) for family in asked.families
        ]
        table = pd.concat(tables, ignore_index=True)
    if asked.table:
        write_table(table, asked.table)
    if asked.figure:
        asked.figure.write_text(figure(table, COLOURS))
    print(
        verdicts(table, asked.against).to_string(
            index=False, float_format="{:.4f}".format
        )
    )


if __name__ == "__main__":
    main()
