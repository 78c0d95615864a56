"""FBNetV2 (Wan et al. 2020) as knobs, as a space, as published; with the attention as a knob."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

from search_spaces.arch import Arch
from search_spaces.blocks.attended_conv import AttendedConv
from search_spaces.blocks.ends import ExpandedHead, SimpleStem
from search_spaces.blocks.inverted_residual import InvertedResidual, Projection
from search_spaces.blocks.residual import Block
from search_spaces.grid import Grid, eights
from search_spaces.knobs import KnobValue, check_knob
from search_spaces.network import Description

FBNETV2_STAGES = (1, 2, 3, 4, 5)
KERNELS = {"k3": 3, "k5": 5}

LEGAL: dict[str, Collection[KnobValue]] = {
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
        for name in LEGAL.keys() - {*PER_STAGE.values(), *PER_ROW.values()}:
            check_knob("FBNetV2", name, getattr(self, name), LEGAL[name])
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
            check_knob("FBNetV2", f"{name} (entry {number})", value, LEGAL[knob])

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
                channels = width
                stride = 1
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
        again = self._block(row, width, width, 1, activation)
        return [
            first,
            *[again] * (self.repeats[row] - 1),
        ]

    def _block(
        self, row: int, in_channels: int, width: int, stride: int, activation: str
    ) -> InvertedResidual:
        expanded = nearest_width(in_channels * self.expansions[row])
        attended = self.attended[row]
        expand = self.expansions[row] != 1
        # split attention has its own; without an expansion nothing else would use this
        if attended and self.attention == "split" and not expand:
            activation = "relu"
        conv = AttendedConv(
            expanded,
            KERNELS[self.operators[row]],
            stride,
            groups=expanded,
            # names that were checked
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
