"""A larger network that starts with what a smaller one of its family has learnt.

Modules of the same name are paired. Of each pair of tensors the overlap is copied: the first channels, the
middle of the kernels. Weights from new channels into old ones start at 0, so that old outputs stay.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from search_spaces import Network, SplitAttention


@torch.no_grad()
def inherit(network: Network, smaller: Network) -> tuple[float, tuple[str, ...]]:
    """Copy into ``network`` what ``smaller`` has under the same names; in place.

    - Channels: the first ones are taken, of every split where radix and cardinality agree. The weights from
      new channels into old ones start at 0, so that what was copied does what it did.
    - Kernels: the smaller in the middle of the larger, 0 around it; a larger one gives its middle.
    - Blocks that the smaller network lacks stay new; residual ones start as the identity (``zero_gamma``).
    - A classifier for another number of classes stays new.

    A wider or deeper network so starts with the smaller one's logits, if its convolutions are depthwise or
    ungrouped (radix 0 or 1) and its shortcuts project where the smaller one's do.

    Returns:
        The share of the parameters that was copied, and the names of parameters with nothing copied.
    """
    theirs = dict(smaller.named_modules())
    # the classes of another task mean something else
    classes_differ = network.task.num_classes != smaller.task.num_classes
    copied = 0
    new = []
    for path, module in network.named_modules():
        source = theirs.get(path)
        for name, target in _own_tensors(module):
            full = f"{path}.{name}"
            # pairs are found by name: the families name blocks by stage and place
            value = getattr(source, name, None) if source is not None else None
            classifier = path == network.last_layer
            if (
                not isinstance(value, Tensor)
                or value.ndim != target.ndim
                or (classifier and classes_differ)
            ):
                new += [full] if isinstance(target, nn.Parameter) else []
                continue
            split = _splits(network, smaller, path)
            count = _copy(_by_split(target, split), _by_split(value, split))
            copied += count if isinstance(target, nn.Parameter) else 0
    total = sum(parameter.numel() for parameter in network.parameters())
    return copied / total, tuple(new)


def _own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _copy(target: Tensor, value: Tensor) -> int:
    """Copy the overlap; returns its number of elements. ``target`` is (splits, outputs, inputs, *kernel)."""
    ours, theirs = [], []
    lengths = zip(target.shape, value.shape, strict=True)
    for axis, (mine, its) in enumerate(lengths):
        length = min(mine, its)
        # axes beyond (splits, outputs, inputs) are a kernel's, aligned at its centre
        start, other = (
            ((mine - length) // 2, (its - length) // 2) if axis > 2 else (0, 0)
        )
        ours.append(slice(start, start + length))
        theirs.append(slice(other, other + length))
    if target.ndim > 2:
        target[:, ours[1]] = 0  # from new inputs, and around a smaller kernel
    # first channels, whole input groups, centred kernels: see the docstring
    target[tuple(ours)] = value[tuple(theirs)]
    return value[tuple(theirs)].numel()


def _by_split(tensor: Tensor, splits: int) -> Tensor:
    """(splits * outputs, ...) as (splits, outputs, ...); a view."""
    return tensor.unflatten(0, (splits, -1)) if tensor.ndim else tensor.view(1, 1)


def _splits(network: Network, smaller: Network, path: str) -> int:
    """Of how many like parts the output of the convolution or norm at ``path`` is made."""
    parent, _, name = path.rpartition(".")
    try:
        ours = network.get_submodule(parent)
        theirs = smaller.get_submodule(parent)
    except AttributeError:
        return 1  # the smaller network has no such block
    if not (isinstance(ours, SplitAttention) and isinstance(theirs, SplitAttention)):
        return 1
    if (ours.radix, ours.cardinality) != (theirs.radix, theirs.cardinality):
        return 1
    return {
        # radix-major; the gate's last layer is cardinality-major
        "conv": ours.radix,
        "bn0": ours.radix,
        "fc2": ours.radix * ours.cardinality,
    }.get(name, 1)
