"""The space of FBNetV2: how many rows a stage has, and what a row may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from search_spaces.arch import Arch
from search_spaces.families.fbnetv2 import (
    FBNETV2_STAGES,
    LEGAL,
    PER_ROW,
    PER_STAGE,
    FBNetV2,
)
from search_spaces.grid import Grid
from search_spaces.knobs import Knobs, Trial, choose
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class FBNetV2Space(SearchSpace):
    """Tables of up to 23 rows, wide enough for all seven published networks.

    ``rows1`` to ``rows5`` and ``width1`` to ``width5`` belong to the stages. The other knobs of a row have
    the same choices in every row; one row a stage makes the space small.
    """

    arch_type: ClassVar[type[Arch]] = FBNetV2

    rows1: Sequence[int] = (1,)
    rows2: Sequence[int] = range(1, 5)
    rows3: Sequence[int] = range(1, 5)
    rows4: Sequence[int] = range(1, 10)
    rows5: Sequence[int] = range(1, 6)
    width1: Sequence[int] = range(8, 33, 8)
    width2: Sequence[int] = range(8, 49, 8)
    width3: Sequence[int] = range(16, 65, 8)
    width4: Sequence[int] = range(32, 145, 8)
    width5: Sequence[int] = range(96, 289, 8)
    operator: Sequence[str] = ("k3", "k5", "skip")
    expansion: Sequence[float] = Grid(1.0, 7.0, 0.01)
    repeat: Sequence[int] = range(1, 4)
    attended: Sequence[bool] = (False, True)
    activation: Sequence[str] = ("relu", "hswish")
    attention: Sequence[str] = ("none", "se", "split")
    radix: Sequence[int] = (1, 2, 4)
    stem_width: Sequence[int] = range(8, 33, 8)
    head_expansion: Sequence[float] = Grid(2.0, 6.0, 1.0)
    features: Sequence[int] = range(1280, 1985, 64)
    resolution: Sequence[int] = range(128, 289, 32)
    width_multiplier: Sequence[float] = Grid(0.5, 1.5, 0.05)

    def __post_init__(self) -> None:
        # rows1 to rows5 have the values of rows
        legal = {name: LEGAL[name.rstrip("12345")] for name in self.knobs()}
        self.check_choices(legal)

    def suggest(self, trial: Trial) -> FBNetV2:
        # first: whether rows are attended depends on it
        attention = choose(trial, "attention", self.attention)
        rows = tuple(
            choose(trial, f"rows{stage}", getattr(self, f"rows{stage}"))
            for stage in FBNETV2_STAGES
        )
        table = [
            self._row(trial, stage, row, attended=attention != "none")
            for stage, count in zip(FBNETV2_STAGES, rows, strict=True)
            for row in range(1, count + 1)
        ]
        operators, widths, expansions, repeats, attended = zip(*table, strict=True)
        return FBNetV2(
            rows,
            operators,
            widths,
            expansions,
            repeats,
            attended,
            activations=tuple(
                choose(trial, f"activation{stage}", self.activation)
                for stage in FBNETV2_STAGES
            ),
            attention=attention,
            radix=choose(trial, "radix", self.radix) if attention == "split" else 1,
            stem_width=choose(trial, "stem_width", self.stem_width),
            head_expansion=choose(trial, "head_expansion", self.head_expansion),
            features=choose(trial, "features", self.features),
            resolution=choose(trial, "resolution", self.resolution),
            width_multiplier=choose(trial, "width_multiplier", self.width_multiplier),
        )

    def _row(
        self, trial: Trial, stage: int, row: int, attended: bool
    ) -> tuple[str, int, float, int, bool]:
        """Operator, width, expansion, repeats and whether attended, in the order of the fields."""
        at = f"{stage}_{row}"
        operator = choose(trial, f"operator{at}", self.operator)
        width = choose(trial, f"width{at}", getattr(self, f"width{stage}"))
        if operator == "skip":
            # a skip keeps a width, which the next row sees, and nothing else
            return operator, width, 1.0, 1, False
        expansion = choose(trial, f"expansion{at}", self.expansion)
        repeat = choose(trial, f"repeat{at}", self.repeat)
        return (
            operator,
            width,
            expansion,
            repeat,
            attended and choose(trial, f"attended{at}", self.attended),
        )

    def params(self, arch: Arch) -> Knobs:
        if not isinstance(arch, FBNetV2):
            raise ValueError(f"space fbnetv2 has no {type(arch).__name__}")
        knobs: Knobs = {
            field.name: getattr(arch, field.name)
            for field in fields(arch)
            if field.name not in {*PER_STAGE, *PER_ROW}
        }
        if arch.attention != "split":
            del knobs["radix"]
        for name, knob in PER_STAGE.items():
            values = zip(FBNETV2_STAGES, getattr(arch, name), strict=True)
            knobs |= {f"{knob}{stage}": value for stage, value in values}
        return knobs | _row_knobs(arch)


def _row_knobs(arch: FBNetV2) -> Knobs:
    """The knobs of every row, ``<knob><stage>_<row in the stage>``: those that make a difference there."""
    rows = [
        f"{stage}_{row}"
        for stage, count in zip(FBNETV2_STAGES, arch.rows, strict=True)
        for row in range(1, count + 1)
    ]
    knobs: Knobs = {}
    for name, knob in PER_ROW.items():
        if knob == "attended" and arch.attention == "none":
            continue
        # a skip has no block: it is asked for its width alone
        free = knob in ("operator", "width")
        values = zip(rows, arch.operators, getattr(arch, name), strict=True)
        knobs |= {
            f"{knob}{at}": value for at, op, value in values if free or op != "skip"
        }
    return knobs
