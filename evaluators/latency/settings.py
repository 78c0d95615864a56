"""How latency is measured, as a value; numbers of different settings never compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from evaluators.fields import Bounds, check

Dtype = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class LatencySettings:
    """What is timed, and when its median is good enough.

    Attributes:
        device: None: where networks train.
        threads: cores of the CPU that it runs on and is confined to; None: torch's number.
        fold: fold the batch norms away first.
        compile: time what ``torch.compile`` makes of the network.
        cuda_graph: launch all kernels at once.
        interval: repeat until the median is known to this share of itself (95 % confidence).
        min_repetitions: repeat at least so often.
        max_seconds: the most for warming up, and again for repeating.
        max_load: the most that others may take of the CPU meanwhile, as a share of it.
        keep_disturbed: take a number that others have disturbed rather than none.

    Raises:
        FieldError: naming the field that is wrong.
    """

    device: str | None = None
    batch_size: Annotated[int, Bounds(ge=1, unit="images")] = 1
    dtype: Dtype = "float32"
    threads: Annotated[int | None, Bounds(ge=1)] = 1
    channels_last: bool = False
    compile: bool = False
    cuda_graph: bool = False
    fold: bool = False
    interval: Annotated[float, Bounds(gt=0, le=1)] = 0.01
    min_repetitions: Annotated[int, Bounds(ge=1)] = 10
    max_seconds: Annotated[float, Bounds(ge=0, unit="seconds")] = 1.0
    max_load: Annotated[float, Bounds(gt=0, le=1)] = 0.1
    keep_disturbed: bool = False

    def __post_init__(self) -> None:
        check(self)
