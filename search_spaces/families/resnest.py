"""ResNeSt: ResNet-D with split attention (Zhang et al. 2020), as knobs, as a space, as published."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from search_spaces.arch import Arch
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.ends import Head, Stem
from search_spaces.blocks.split_attention import round_up
from search_spaces.grid import eights
from search_spaces.knobs import Knobs, KnobValue, Trial, check_knob, choose
from search_spaces.network import Description
from search_spaces.space import SearchSpace

EXPANSION = 4
RESNEST_STAGES = (1, 2, 3, 4)

_LEGAL: dict[str, Collection[KnobValue]] = {
    "depth": range(1, 101),
    "width": range(8, 2049, 8),
    "bottleneck_width": range(8, 257, 8),
    "radix": (0, 1, 2, 4),
    "cardinality": (1, 2, 4),
    "stem_width": range(8, 257, 8),
    "deep_stem": (False, True),
    "avg_down": (False, True),
    "avd": (False, True),
    "avd_first": (False, True),
}
"""Values a knob may ever take, in the default space or any other."""


@dataclass(frozen=True)
class ResNeSt(Arch):
    """A ResNeSt; the defaults are ResNeSt-50.

    ``depths`` and ``widths`` have one entry a stage; a stage's blocks put out ``4 * width`` maps. A cardinal
    group of the 3x3 convolution has ``width * bottleneck_width / 64`` channels, rounded up so that the radix
    divides it. The stem puts out ``2 * stem_width`` maps. ``avd_first`` without ``avd`` says nothing and is
    set to False.

    Raises:
        ValueError: naming the knob that is wrong and the values it may take.
    """

    space: ClassVar[str] = "resnest"

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    bottleneck_width: int = 64
    radix: int = 2
    cardinality: int = 1
    stem_width: int = 32
    deep_stem: bool = True
    avg_down: bool = True
    avd: bool = True
    avd_first: bool = False

    def __post_init__(self) -> None:
        self.check_types()
        self._check_each("depths", _LEGAL["depth"])
        self._check_each("widths", _LEGAL["width"])
        for name in _LEGAL.keys() - {"depth", "width"}:
            check_knob("ResNeSt", name, getattr(self, name), _LEGAL[name])
        if not self.avd:
            object.__setattr__(self, "avd_first", False)

    def _check_each(self, name: str, legal: Collection[KnobValue]) -> None:
        values = getattr(self, name)
        if len(values) != len(RESNEST_STAGES):
            raise ValueError(
                f"ResNeSt: {name} must have {len(RESNEST_STAGES)} entries, got {len(values)}"
            )
        for stage, value in zip(RESNEST_STAGES, values, strict=True):
            check_knob("ResNeSt", f"{name} (stage {stage})", value, legal)

    def scaled(self, factor: float) -> ResNeSt:
        """The same with all widths times ``factor``, in multiples of 8; depths stay."""
        widths = tuple(eights(factor * width, 2048) for width in self.widths)
        stem_width = eights(factor * self.stem_width, 256)
        return replace(self, widths=widths, stem_width=stem_width)

    def describe(self) -> Description:
        stages = []
        in_channels = 2 * self.stem_width
        for stage, depth, width in zip(
            RESNEST_STAGES, self.depths, self.widths, strict=True
        ):
            first = self._block(in_channels, width, stride=1 if stage == 1 else 2)
            in_channels = first.out_channels
            # equal blocks are one value, which is costed once
            rest = self._block(in_channels, width, stride=1)
            stages.append((first, *[rest] * (depth - 1)))
        return Description(
            Stem(self.stem_width, self.deep_stem), tuple(stages), Head(in_channels)
        )

    def _block(self, in_channels: int, width: int, stride: int) -> Bottleneck:
        out_channels = EXPANSION * width
        downsample: Literal["conv", "avd", "avd_first"] = "conv"
        # average pooling takes the place of a stride only where there is one
        if self.avd and stride > 1:
            downsample = "avd_first" if self.avd_first else "avd"
        # 48 * 24 // 64 = 18 channels, say, do not divide into a radix of 4
        group_width = round_up(width * self.bottleneck_width // 64, max(self.radix, 1))
        # a shortcut can only be the identity where the shape stays
        project = stride > 1 or in_channels != out_channels
        return Bottleneck(
            in_channels,
            group_width * self.cardinality,
            out_channels,
            stride,
            self.radix,
            self.cardinality,
            downsample,
            shortcut=("avg_pool" if self.avg_down else "conv")
            if project
            else "identity",
        )


@dataclass(frozen=True)
class ResNeStSpace(SearchSpace):
    """Everything between the smallest "fast" ablation and ResNeSt-269, stage by stage."""

    arch_type: ClassVar[type[Arch]] = ResNeSt

    depth1: tuple[int, ...] = tuple(range(1, 5))
    depth2: tuple[int, ...] = tuple(range(1, 31))
    depth3: tuple[int, ...] = tuple(range(1, 49))
    depth4: tuple[int, ...] = tuple(range(1, 9))
    width1: tuple[int, ...] = tuple(range(32, 97, 16))
    width2: tuple[int, ...] = tuple(range(64, 193, 32))
    width3: tuple[int, ...] = tuple(range(128, 385, 64))
    width4: tuple[int, ...] = tuple(range(256, 769, 128))
    bottleneck_width: tuple[int, ...] = tuple(range(24, 65, 8))
    radix: tuple[int, ...] = (0, 1, 2, 4)
    cardinality: tuple[int, ...] = (1, 2, 4)
    stem_width: tuple[int, ...] = tuple(range(16, 65, 16))
    deep_stem: tuple[bool, ...] = (True, False)
    avg_down: tuple[bool, ...] = (True, False)
    avd: tuple[bool, ...] = (True, False)
    avd_first: tuple[bool, ...] = (False, True)

    def __post_init__(self) -> None:
        # depth1 to depth4 have the values of depth
        legal = {name: _LEGAL[name.rstrip("1234")] for name in self.knobs()}
        self.check_choices(legal)

    def suggest(self, trial: Trial) -> ResNeSt:
        depths = tuple(
            choose(trial, f"depth{stage}", getattr(self, f"depth{stage}"))
            for stage in RESNEST_STAGES
        )
        widths = tuple(
            choose(trial, f"width{stage}", getattr(self, f"width{stage}"))
            for stage in RESNEST_STAGES
        )
        # asked first: avd_first makes a difference only with it
        avd = choose(trial, "avd", self.avd)
        return ResNeSt(
            depths,
            widths,
            bottleneck_width=choose(trial, "bottleneck_width", self.bottleneck_width),
            radix=choose(trial, "radix", self.radix),
            cardinality=choose(trial, "cardinality", self.cardinality),
            stem_width=choose(trial, "stem_width", self.stem_width),
            deep_stem=choose(trial, "deep_stem", self.deep_stem),
            avg_down=choose(trial, "avg_down", self.avg_down),
            avd=avd,
            avd_first=choose(trial, "avd_first", self.avd_first) if avd else False,
        )

    def params(self, arch: Arch) -> Knobs:
        if not isinstance(arch, ResNeSt):
            raise ValueError(f"space resnest has no {type(arch).__name__}")
        stages = {
            f"depth{stage}": depth
            for stage, depth in zip(RESNEST_STAGES, arch.depths, strict=True)
        }
        stages |= {
            f"width{stage}": width
            for stage, width in zip(RESNEST_STAGES, arch.widths, strict=True)
        }
        rest = {
            name: getattr(arch, name) for name in self.knobs() if name not in stages
        }
        if not arch.avd:
            del rest["avd_first"]
        return stages | rest


_FAST = {
    f"resnest50_fast_{radix}s{cardinality}x{width}d": ResNeSt(
        radix=radix, cardinality=cardinality, bottleneck_width=width, avd_first=True
    )
    for radix, cardinality, width in [
        (1, 1, 64), (2, 1, 64), (4, 1, 64), (1, 2, 40), (2, 2, 40), (4, 2, 40), (1, 4, 24),
    ]
}  # fmt: skip

RESNESTS: dict[str, Arch] = {
    "resnest14d": ResNeSt(depths=(1, 1, 1, 1)),
    "resnest26d": ResNeSt(depths=(2, 2, 2, 2)),
    "resnest50": ResNeSt(),
    "resnest101": ResNeSt(depths=(3, 4, 23, 3), stem_width=64),
    "resnest200": ResNeSt(depths=(3, 24, 36, 3), stem_width=64),
    "resnest269": ResNeSt(depths=(3, 30, 48, 8), stem_width=64),
    **_FAST,
}
"""The 13 networks of the paper, its ablation and the authors' repository."""
