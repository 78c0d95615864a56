"""Published networks by name, with their authors' weights or new ones."""

from __future__ import annotations

from typing import Any

from nas.retraining.weights import init_weights
from search_spaces import Network, Task, build, reference


def create(
    name: str, *, pretrained: bool = False, num_classes: int = 1000, **task: Any
) -> Network:
    """The published network ``name``; ``search_spaces.list_networks`` lists them.

    ``pretrained`` takes the authors' ImageNet weights, fetched once into the user's cache; for another number of
    classes the classifier starts anew, for grey images the first convolution sums over the colours. ``task``:
    ``resolution``, ``channels`` and ``small_images`` of ``search_spaces.Task``.

    Raises:
        ValueError: for a name that does not exist, naming the nearest; if no weights of it are published.
    """
    arch = reference(name)
    network = build(arch, Task(num_classes, **task))
    if pretrained:
        init_weights(network, arch, "official")
    return network
