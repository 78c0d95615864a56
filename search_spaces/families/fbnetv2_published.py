"""FBNetV2 F0 to F4, L1 and L2, as published."""

from __future__ import annotations

from search_spaces.arch import Arch
from search_spaces.families.fbnetv2 import FBNetV2


def _published(
    table: list[str],
    stem_width: int,
    activations: str,
    features: int,
    resolution: int,
    head_expansion: float = 6.0,
) -> FBNetV2:
    """From one string a stage, its rows ``operator width expansion repeats``, with a ``+`` where attended."""
    stages = [[row.split() for row in stage.split(",")] for stage in table]
    rows = [row for stage in stages for row in stage]
    return FBNetV2(
        tuple(len(stage) for stage in stages),
        # "k5+ 24 4" is a 5x5 kernel with attention, 24 channels wide, expanded 4 times
        operators=tuple(row[0].rstrip("+") for row in rows),
        widths=tuple(int(row[1]) for row in rows),
        expansions=tuple(float(row[2]) if len(row) > 2 else 1.0 for row in rows),
        repeats=tuple(int(row[3]) if len(row) > 3 else 1 for row in rows),
        attended=tuple(row[0].endswith("+") for row in rows),
        activations=tuple(activations.split()),
        stem_width=stem_width,
        head_expansion=head_expansion,
        features=features,
        resolution=resolution,
    )


_F0 = [
    "k5 8",
    "k5 16 4, k5 16 3",
    "k5+ 24 4, k5+ 24 3",
    "k5+ 48 4, k3+ 48 3, k5+ 64 3, k5+ 64 2",
    "k3+ 128 3, k5+ 160 3, skip 192",
]
_F1 = [
    "k5 8",
    "k5 24 5.46, k5 24 4.79",
    "k5+ 32 5.35, k5+ 24 4.54",
    "k5 56 5.71, k3 56 4.12, k3+ 56 5.12, skip 80, k5+ 80 4.51, k5+ 80 1.77",
    "k3+ 144 4.57, k5+ 144 5.84, k5+ 144 6.88, skip 224",
]
_F4 = [
    "k3 16",
    "k5 24 5.46, k5 24 1.79 2",
    "k5+ 32 5.35, k5+ 32 3.54, k5+ 32 4.54 2",
    "k5 64 5.71, k3 64 2.12, skip 64, k3 104 5.03, k5+ 104 2.51, k5+ 104 1.77, k5+ 112 3.77",
    "k3+ 184 5.57, k5+ 184 2.84, k5+ 184 4.88, skip 224",
]
_L1 = [
    "k3 16",
    "k5 24 5.46, k5 24 1.79, k3 24 1.79, k5 24 1.79",
    "k5+ 40 5.35, k5+ 32 3.54, k5+ 32 4.54 2",
    "k5 64 5.71, k3 64 2.12, skip 64, k3 64 3.12, k3 112 5.03, "
    "k5+ 112 2.51, k5+ 112 1.77, k5+ 112 2.77, k5+ 112 3.77 2",
    "k3+ 184 5.57, k5+ 184 2.84 2, k5+ 184 4.88 2, skip 224",
]
_F1_ACTS = "relu relu relu hswish hswish"
_F4_ACTS = "hswish hswish relu hswish hswish"
_L1_ACTS = "hswish hswish hswish hswish hswish"

FBNETV2S: dict[str, Arch] = {
    "fbnetv2_f0": _published(
        _F0, 8, _F4_ACTS, features=1280, resolution=224, head_expansion=4.0
    ),
    "fbnetv2_f1": _published(_F1, 8, _F1_ACTS, features=1600, resolution=128),
    "fbnetv2_f2": _published(_F1, 8, _F1_ACTS, features=1600, resolution=160),
    "fbnetv2_f3": _published(_F1, 8, _F1_ACTS, features=1984, resolution=192),
    "fbnetv2_f4": _published(_F4, 16, _F4_ACTS, features=1984, resolution=224),
    "fbnetv2_l1": _published(_L1, 16, _L1_ACTS, features=1984, resolution=224),
    "fbnetv2_l2": _published(_L1, 16, _L1_ACTS, features=1984, resolution=256),
}
"""The seven networks of the authors' model zoo; expansions rounded to hundredths, which changes no width."""
