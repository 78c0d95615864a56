"""RegNetY (Radosavovic et al. 2020, "Designing Network Design Spaces"), with the attention as a knob.

A network is a straight line: block ``j`` asks for ``w0 + wa * j`` channels. The line is rounded to steps of a
factor ``wm``, and blocks of one step are a stage. Most lines have more or fewer than four steps, so the space
folds ``wa`` into the range that gives four, which is what the paper's networks have.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar, NamedTuple

from search_spaces.arch import Arch
from search_spaces.blocks.attended_conv import AttendedConv
from search_spaces.blocks.ends import Head, SimpleStem
from search_spaces.blocks.regnet_block import RegNetBlock
from search_spaces.grid import Grid, eights
from search_spaces.knobs import Knobs, KnobValue, Trial, check_knob, choose
from search_spaces.network import Description
from search_spaces.space import SearchSpace

_LEGAL: dict[str, Collection[KnobValue]] = {
    "depth": range(1, 101),
    "w0": range(8, 1025, 8),
    "wa": Grid(0.0, 1024.0, 0.01),
    "wm": Grid(1.1, 8.0, 0.01),
    "group_width": range(8, 1025, 8),
    "stem_width": range(8, 257, 8),
    "attention": ("none", "se", "split"),
    "radix": (1, 2, 4),
    "gate_reduction": (1, 2, 4, 8),
}
"""Values a knob may ever take; any radix divides any group width, any gate reduction any width."""


class Stage(NamedTuple):
    depth: int
    width: int
    group_width: int


@dataclass(frozen=True)
class RegNetY(Arch):
    """A RegNetY; the defaults are RegNetY-400MF.

    Block j of ``depth`` asks for ``w0 + wa * j`` channels, quantised to ``w0 * wm ** s``; runs of equal width
    are the stages, of any number. A block's gate is ``gate_reduction`` times narrower than the block's input.
    What has no effect takes its default: ``radix`` without split attention, ``gate_reduction`` without any.

    Raises:
        ValueError: naming the knob that is wrong and the values it may take.
    """

    space: ClassVar[str] = "regnety"

    depth: int = 16
    w0: int = 48
    wa: float = 27.89
    wm: float = 2.09
    group_width: int = 8
    stem_width: int = 32
    attention: str = "se"
    radix: int = 1
    gate_reduction: int = 4

    def __post_init__(self) -> None:
        self.check_types()
        for name, legal in _LEGAL.items():
            check_knob("RegNetY", name, getattr(self, name), legal)
        # two tapes of knobs that build one network must have one id
        if self.attention != "split":
            object.__setattr__(self, "radix", 1)
        if self.attention == "none":
            object.__setattr__(self, "gate_reduction", 4)

    def scaled(self, factor: float) -> RegNetY:
        """The same with all widths times ``factor``, in multiples of 8 and of the group width; depth stays."""
        return replace(
            self,
            w0=eights(factor * self.w0, 1024),
            wa=min(round(factor * self.wa, 2), 1024.0),
            group_width=eights(factor * self.group_width, 1024),
            stem_width=eights(factor * self.stem_width, 256),
        )

    def stages(self) -> tuple[Stage, ...]:
        """Depth, width and group width of every stage, the width a multiple of the group width."""
        # A linear ramp of widths is bent to a staircase: block j wants u_j = w0 + wa *
        # j (equation 2), which
        # is s_j = log(u_j / w0) / log(wm) multiplications away from w0 (3); s_j is
        # rounded (4).
        blocks = range(self.depth)
        levels = [level(block, self.w0, self.wa, self.wm) for block in blocks]
        # to multiples of 8, as in pycls
        exact = [self.w0 * self.wm**each for each in levels]
        widths = [8 * round(width / 8) for width in exact]
        return tuple(
            Stage(len(list(run)), *self._grouped(width))
            for width, run in groupby(widths)
        )

    def _grouped(self, width: int) -> tuple[int, int]:
        group_width = min(self.group_width, width)
        # the groups stay and the width gives way, by a few channels
        return max(group_width, round(width / group_width) * group_width), group_width

    def describe(self) -> Description:
        stages = []
        in_channels = self.stem_width
        for stage in self.stages():
            first = self._block(in_channels, stage, stride=2)
            in_channels = stage.width
            stages.append(
                (
                    first,
                    *[self._block(in_channels, stage, stride=1)] * (stage.depth - 1),
                )
            )
        return Description(
            SimpleStem(self.stem_width), tuple(stages), Head(in_channels)
        )

    def _block(self, in_channels: int, stage: Stage, stride: int) -> RegNetBlock:
        conv = AttendedConv(
            stage.width,
            3,
            stride,
            stage.width // stage.group_width,
            attention=self.attention,  # type: ignore[arg-type]  # one of its names, as checked
            radix=self.radix,
            gate_channels=0
            if self.attention == "none"
            else in_channels // self.gate_reduction,
        )
        return RegNetBlock(in_channels, conv)


def level(block: int, w0: int, wa: float, wm: float) -> int:
    """How many times the width has been multiplied by ``wm`` at this block (the paper's equations 2 to 4)."""
    growth = (w0 + wa * block) / w0
    return round(math.log(growth) / math.log(wm))


def four_stages(
    wa: float, choices: Sequence[float], depth: int, w0: int, wm: float
) -> float:
    """Fold ``wa`` into those choices that give levels 0, 1, 2 and 3, none skipped and no other: four stages.

    What lies beyond either end is reflected at it, so that even draws stay even and small moves small; a
    ``wa`` that gives four stages stays as it is. So does any where no choice gives four.
    """
    low = bisect_left(choices, 3, key=lambda wa: level(depth - 1, w0, wa, wm))
    high = min(
        bisect_right(choices, 3, key=lambda wa: level(depth - 1, w0, wa, wm)),
        bisect_right(choices, 1, key=lambda wa: level(1, w0, wa, wm)),
    )
    if low >= high:
        return wa
    # a triangle wave: up through the choices and down again
    count = high - low
    offset = (bisect_left(choices, wa) - low) % (2 * count)
    return choices[low + min(offset, 2 * count - 1 - offset)]


@dataclass(frozen=True)
class RegNetYSpace(SearchSpace):
    """Networks of four stages like the published ones; ``wa`` is folded into what gives four stages."""

    arch_type: ClassVar[type[Arch]] = RegNetY

    depth: Sequence[int] = range(8, 33)
    w0: Sequence[int] = range(8, 257, 8)
    wa: Sequence[float] = Grid(1.0, 600.0, 0.01)
    wm: Sequence[float] = Grid(2.0, 3.0, 0.01)
    group_width: Sequence[int] = range(8, 241, 8)
    stem_width: Sequence[int] = range(16, 65, 16)
    attention: Sequence[str] = ("none", "se", "split")
    radix: Sequence[int] = (1, 2, 4)
    gate_reduction: Sequence[int] = (2, 4, 8)

    def __post_init__(self) -> None:
        self.check_choices(_LEGAL)
        if not isinstance(self.wa, Grid):
            object.__setattr__(self, "wa", tuple(sorted(self.wa)))

    def suggest(self, trial: Trial) -> RegNetY:
        depth = choose(trial, "depth", self.depth)
        w0 = choose(trial, "w0", self.w0)
        wm = choose(trial, "wm", self.wm)
        wa = choose(trial, "wa", self.wa)
        attention = choose(trial, "attention", self.attention)
        return RegNetY(
            depth,
            w0,
            four_stages(wa, self.wa, depth, w0, wm),
            wm,
            group_width=choose(trial, "group_width", self.group_width),
            stem_width=choose(trial, "stem_width", self.stem_width),
            attention=attention,
            **self._gate(trial, attention),
        )

    def _gate(self, trial: Trial, attention: str) -> dict[str, int]:
        """The knobs of the attention, as far as there is one."""
        knobs = {}
        if attention == "split":
            knobs["radix"] = choose(trial, "radix", self.radix)
        if attention != "none":
            reduction = choose(trial, "gate_reduction", self.gate_reduction)
            knobs["gate_reduction"] = reduction
        return knobs

    def params(self, arch: Arch) -> Knobs:
        if not isinstance(arch, RegNetY):
            raise ValueError(f"space regnety has no {type(arch).__name__}")
        knobs: Knobs = {name: getattr(arch, name) for name in self.knobs()}
        if arch.attention != "split":
            del knobs["radix"]
        if arch.attention == "none":
            del knobs["gate_reduction"]
        return knobs


REGNETYS: dict[str, Arch] = {
    f"regnety_{name}": RegNetY(depth, w0, wa, wm, group_width)
    for name, depth, w0, wa, wm, group_width in [
        ("200mf", 13, 24, 36.44, 2.49, 8),
        ("400mf", 16, 48, 27.89, 2.09, 8),
        ("600mf", 15, 48, 32.54, 2.32, 16),
        ("800mf", 14, 56, 38.84, 2.40, 16),
        ("1.6gf", 27, 48, 20.71, 2.65, 24),
        ("3.2gf", 21, 80, 42.63, 2.66, 24),
        ("4.0gf", 22, 96, 31.41, 2.24, 64),
        ("6.4gf", 25, 112, 33.22, 2.27, 72),
        ("8.0gf", 17, 192, 76.82, 2.19, 56),
        ("12gf", 19, 168, 73.36, 2.37, 112),
        ("16gf", 18, 200, 106.23, 2.48, 112),
        ("32gf", 20, 232, 115.89, 2.53, 232),
    ]
}
"""The paper's 12 networks, pycls' ``dds_baselines``."""
