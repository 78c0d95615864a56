"""Where the ImageNet weights of published networks are."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """Where weights are, and the first digits of their SHA-256 (the authors publish eight)."""

    url: str
    sha256: str


_AUTHORS = "https://github.com/zhanghang1989/ResNeSt/releases/download/weights_step1"
_PORTED = (
    "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-weights"
)

OFFICIAL = {
    name: Published(f"{_AUTHORS}/{name}-{digits}.pth", digits)
    for name, digits in {
        "resnest50": "528c19ca",
        "resnest101": "22405ba7",
        "resnest200": "75117900",
        "resnest269": "0cc87c48",
        "resnest50_fast_1s1x64d": "d8fbf808",
        "resnest50_fast_2s1x64d": "44938639",
        "resnest50_fast_4s1x64d": "f74f3fc3",
        "resnest50_fast_1s2x40d": "32830b84",
        "resnest50_fast_2s2x40d": "9d126481",
        "resnest50_fast_4s2x40d": "41d14ed0",
        "resnest50_fast_1s4x24d": "d4a4f76f",
    }.items()
} | {
    "resnest14d": Published(f"{_PORTED}/gluon_resnest14-9c8fe254.pth", "9c8fe254"),
    "resnest26d": Published(f"{_PORTED}/gluon_resnest26-50eb607c.pth", "50eb607c"),
}
"""ImageNet weights of the published ResNeSts; the two smallest the authors published only for MXNet."""
