"""FBNetV2 (Wan et al. 2020) as knobs, as a space, as published; with the attention as a knob."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import ClassVar

from search_spaces.arch import Arch
from search_spaces.blocks.attended_conv import AttendedConv
from search_spaces.blocks.ends import ExpandedHead, SimpleStem
from search_spaces.blocks.inverted_residual import InvertedResidual, Projection
from search_spaces.blocks.residual import Block
from search_spaces.grid import Grid, eights
from search_spaces.knobs import Knobs, KnobValue, Trial, check_knob, choose
from search_spaces.network import Description
from search_spaces.space import SearchSpace

FBNETV2_STAGES = (1, 2, 3, 4, 5)
KERNELS = {"k3": 3, "k5": 5}

_LEGAL: dict[str, Collection[KnobValue]] = {
    "rows": range(1, 17),
    "operator": ("k3", "k5", "skip"),
    "width": range(8, 1025, 8),
    "expansion": Grid(1.0, 10.0, 0.01),
    "repeat": range(1, 17),
    "attended": (False, True),
    "activation": ("relu", "hswish"),
    "attention": ("none", "se", "split"),
    "radix": (1, 2, 4),
    "stem_width": range(8, 129, 8),
    "head_expansion": Grid(1.0, 10.0, 0.01),
    "features": range(8, 4097, 8),
    "resolution": range(32, 513, 16),
    "width_multiplier": Grid(0.25, 4.0, 0.01),
}
"""Values a knob may ever take."""
PER_STAGE = {"rows": "rows", "activations": "activation"}
PER_ROW = {
    "operators": "operator",
    "widths": "width",
    "expansions": "expansion",
    "repeats": "repeat",
    "attended": "attended",
}
"""Fields with one entry a stage or a row, and the knob that an entry is."""


@dataclass(frozen=True)
class FBNetV2(Arch):
    """An FBNetV2: a table of operators as in the paper, ``rows`` of it in each of the five stages.

    A row is an inverted residual with a 3x3 or 5x5 kernel, repeated, or ``skip``: the identity, or a
    projection where the shape changes. Stages 2 to 5 start with stride 2. ``expansions`` multiply the width
    that a block is given, ``width_multiplier`` the ``stem_width`` and ``widths``; all round to multiples of
    8. ``attended`` rows have the network's kind of ``attention``. The network resizes its input to
    ``resolution`` (``SimpleStem.side`` says what becomes of small images).

    What has no effect is set to its plainest value: ``radix`` without split attention, ``attended`` without
    attention, and both expansion and repeats of a ``skip``.

    Raises:
        ValueError: naming the knob that is wrong and the values it may take.
    """

    space: ClassVar[str] = "fbnetv2"

    rows: tuple[int, ...]
    operators: tuple[str, ...]
    widths: tuple[int, ...]
    expansions: tuple[float, ...]
    repeats: tuple[int, ...]
    attended: tuple[bool, ...]
    activations: tuple[str, ...] = ("hswish",) * 5
    attention: str = "se"
    radix: int = 1
    stem_width: int = 16
    head_expansion: float = 6.0
    features: int = 1984
    resolution: int = 224
    width_multiplier: float = 1.0

    def __post_init__(self) -> None:
        self.check_types()
        for name, knob in PER_STAGE.items():
            self._check_each(name, knob, len(FBNETV2_STAGES))
        for name, knob in PER_ROW.items():
            self._check_each(name, knob, sum(self.rows))
        for name in _LEGAL.keys() - {*PER_STAGE.values(), *PER_ROW.values()}:
            check_knob("FBNetV2", name, getattr(self, name), _LEGAL[name])
        if self.attention != "split":
            object.__setattr__(self, "radix", 1)
        if self.attention == "none":
            object.__setattr__(self, "attended", (False,) * sum(self.rows))
        self._make_plain("expansions", 1.0)
        self._make_plain("repeats", 1)
        self._make_plain("attended", False)

    def scaled(self, factor: float) -> FBNetV2:
        """The same with all widths times ``factor``, in multiples of 8; rows and resolution stay."""
        multiplier = round(factor * self.width_multiplier, 2)
        return replace(
            self,
            width_multiplier=min(max(multiplier, 0.25), 4.0),
            features=eights(factor * self.features, 4096),
        )

    def _check_each(self, name: str, knob: str, count: int) -> None:
        values = getattr(self, name)
        if len(values) != count:
            raise ValueError(
                f"FBNetV2: {name} must have {count} entries, got {len(values)}"
            )
        for number, value in enumerate(values, start=1):
            check_knob("FBNetV2", f"{name} (entry {number})", value, _LEGAL[knob])

    def _make_plain(self, name: str, plain: object) -> None:
        """Give the skips of a field its plainest value."""
        values = zip(self.operators, getattr(self, name), strict=True)
        object.__setattr__(
            self, name, tuple(plain if op == "skip" else value for op, value in values)
        )

    def describe(self) -> Description:
        channels = stem_width = nearest_width(self.stem_width * self.width_multiplier)
        stages = []
        row_numbers = iter(range(sum(self.rows)))
        for stage, rows in zip(FBNETV2_STAGES, self.rows, strict=True):
            blocks: list[Block] = []
            # the stem has halved the image already (or it is small)
            stride = 1 if stage == 1 else 2
            for row in islice(row_numbers, rows):
                width = nearest_width(self.widths[row] * self.width_multiplier)
                blocks += self._blocks(
                    row, channels, width, stride, self.activations[stage - 1]
                )
                # only the first block that is there strides; skips pass it on
                channels, stride = width, 1
            stages.append(tuple(blocks))
        return Description(
            SimpleStem(stem_width, "hswish", bias=True, resolution=self.resolution),
            tuple(stages),
            ExpandedHead(
                channels, nearest_width(channels * self.head_expansion), self.features
            ),
        )

    def _blocks(
        self, row: int, in_channels: int, width: int, stride: int, activation: str
    ) -> list[Block]:
        """The blocks of one row, from ``in_channels`` to ``width`` channels."""
        if self.operators[row] == "skip":
            same = stride == 1 and in_channels == width
            # a skip that changes the shape cannot be nothing
            return [] if same else [Projection(in_channels, width, stride)]
        first = self._block(row, in_channels, width, stride, activation)
        return [
            first,
            *[self._block(row, width, width, 1, activation)] * (self.repeats[row] - 1),
        ]

    def _block(
        self, row: int, in_channels: int, width: int, stride: int, activation: str
    ) -> InvertedResidual:
        expanded = nearest_width(in_channels * self.expansions[row])
        attended, expand = self.attended[row], self.expansions[row] != 1
        # split attention has its own; without an expansion nothing else would use this
        if attended and self.attention == "split" and not expand:
            activation = "relu"
        conv = AttendedConv(
            expanded,
            KERNELS[self.operators[row]],
            stride,
            groups=expanded,
            activation=activation,  # type: ignore[arg-type]
            attention=self.attention if attended else "none",  # type: ignore[arg-type]
            radix=self.radix if attended else 1,
            # a quarter, as in MobileNetV3
            gate_channels=nearest_width(expanded // 4) if attended else 0,
            gate="hardsigmoid",
        )
        return InvertedResidual(in_channels, conv, width, expand)


def nearest_width(channels: float) -> int:
    """The multiple of 8 nearest to ``channels``, half up; the next one if more than 5 % would be lost."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.95 * channels else nearest


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
        self.check_choices(
            {name: _LEGAL[name.rstrip("12345")] for name in self.knobs()}
        )

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
