"""Which images, as a value."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated

from evaluators.data.user_cache import cache_folder
from evaluators.fields import Bounds, check, require


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how they are cut up; plain values, so that it can be sent and compared.

    Attributes:
        name: a built-in source, or ``module:function`` that returns a ``Source``.
        root: folder or file that holds the images.
        validation: share of the images that is held out of train, the test images not counted.
        split_seed: decides which.
        subset: use so many images, train and validation together, every class in proportion; None: all.
        resolution: side in pixels that images are decoded at; None: their own.
        download: fetch what is missing, where the source knows an address.
        max_corrupt: share of images that may be unreadable and are left out.
        cache: folder for decoded images; None: ``$SPLITSEARCH_CACHE``, or ``splitsearch`` in the user's cache.

    Raises:
        ValueError: naming the field that is wrong.
    """

    name: str = "digits"
    root: str | None = None
    _: KW_ONLY
    validation: Annotated[float, Bounds(gt=0, lt=1)] = 0.25
    split_seed: Annotated[int, Bounds(ge=0)] = 0
    subset: Annotated[int | None, Bounds(ge=1, unit="images")] = None
    resolution: Annotated[int | None, Bounds(ge=1, unit="pixels")] = None
    download: bool = False
    max_corrupt: Annotated[float, Bounds(ge=0, lt=1)] = 0.01
    cache: str | None = None

    def __post_init__(self) -> None:
        check(self)
        require(self, "root", self.root != "", "a folder or a file")
        require(self, "cache", self.cache != "", "a folder")

    def absolute(self) -> DataSettings:
        """The same for a process that works in another folder or with other variables of the environment."""
        root = self.root
        if root:
            root = str(Path(root).expanduser().absolute())
        return replace(self, root=root, cache=str(cache_folder(self.cache)))
