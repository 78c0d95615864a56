"""What a network costs, counted without building it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter


@dataclass(frozen=True)
class Cost:
    """Exact cost of one forward pass of one image in eval mode; a multiply-add counts as one.

    The four operator counts are those of fvcore's ``FlopCountAnalysis``: multiply-adds of convolutions and
    linear layers, 2 per element for batch norm, 1 per input element for adaptive average pooling.
    ``activations`` follows pycls: output elements of convolution, linear and max-pool layers. ``saved`` is
    about training: the elements that autograd keeps until the backward pass (a 64-bit index counts as two).
    """

    conv: int = 0
    linear: int = 0
    batch_norm: int = 0
    adaptive_avg_pool2d: int = 0
    params: int = 0
    activations: int = 0
    saved: int = 0

    @property
    def macs(self) -> int:
        """Convolution + linear: what papers call FLOPs."""
        return self.conv + self.linear

    @property
    def flops(self) -> int:
        """Equals ``FlopCountAnalysis(model.eval(), image).total()``."""
        return self.macs + self.batch_norm + self.adaptive_avg_pool2d

    @property
    def training_bytes(self) -> int:
        """Activations of one image held at the end of a forward pass in float32, where training peaks.

        Weights, gradients, the optimiser's state and workspaces come on top, once and not per image.
        """
        return 4 * self.saved


OPERATORS = ("conv", "linear", "batch_norm", "adaptive_avg_pool2d")
"""Names of the operator counts in :class:`Complexity`, as fvcore calls them."""


class Tally:
    """The shape of one image's feature map on its way through a network, and the cost so far.

    Every module's ``cost`` walks a tally through the same steps as its ``forward`` walks a tensor.
    """

    __slots__ = (
        "channels",
        "height",
        "kept",
        "width",
        *(field.name for field in fields(Cost)),
    )

    def __init__(self, channels: int, height: int, width: int) -> None:
        self.channels = channels
        self.height = height
        self.width = width
        self.conv = self.linear = self.batch_norm = self.adaptive_avg_pool2d = 0
        self.params = self.activations = self.saved = 0
        # Whether autograd holds the present map already: several operators may need it,
        # and it is kept once.
        # A path begins with a map that somebody before it has kept.
        self.kept = True

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width

    def keep(self) -> None:
        """The backward pass needs the map as it is here; it is saved once, whoever needs it."""
        if not self.kept:
            self.saved += self.elements
            self.kept = True

    def conv2d(
        self,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        self.keep()
        self.kept = False
        # the window's side with the gaps that dilation puts into it
        span = dilation * (kernel_size - 1) + 1
        # every output channel sees the input channels of its own group only
        weights = self.channels // groups * kernel_size**2 * channels
        self.channels = channels
        self.height = (self.height + 2 * padding - span) // stride + 1
        self.width = (self.width + 2 * padding - span) // stride + 1
        area = self.height * self.width
        self.conv += weights * area
        self.params += weights + channels * bias
        # not those of norms and activation functions: their maps have this same shape (pycls)
        self.activations += channels * area

    def norm(self) -> None:
        """Batch norm over the channels, in eval mode."""
        self.keep()
        self.kept = False
        # fvcore counts scale and shift; eval mode needs no statistics
        self.batch_norm += 2 * self.elements
        self.params += 2 * self.channels

    def sigmoid(self) -> None:
        """Or softmax, or ReLU in place: the backward pass needs the output alone."""
        self.kept = False
        self.keep()

    relu = softmax = sigmoid

    def hswish(self) -> None:
        """Or hard sigmoid: the backward pass needs the input alone."""
        self.keep()
        self.kept = False

    hardsigmoid = hswish

    def weigh(self, gate: Tally) -> None:
        """Multiply by what a gate has computed; the backward pass needs both factors."""
        self.keep()
        self.kept = False
        # d(x*g)/dx needs g and d(x*g)/dg needs x
        gate.keep()
        self.add(gate)

    def avg_pool(
        self, kernel_size: int, stride: int, padding: int = 0, ceil_mode: bool = False
    ) -> None:
        self.keep()
        self.kept = False
        self.height = _pooled(self.height, kernel_size, stride, padding, ceil_mode)
        self.width = _pooled(self.width, kernel_size, stride, padding, ceil_mode)

    def max_pool(self, kernel_size: int, stride: int, padding: int = 0) -> None:
        self.avg_pool(kernel_size, stride, padding)
        self.activations += self.elements
        self.saved += 2 * self.elements  # indices

    def global_avg_pool(self) -> None:
        """``adaptive_avg_pool2d(x, 1)``."""
        # one addition for every pixel that goes in
        self.adaptive_avg_pool2d += self.elements
        # a mean's gradient needs no values, only the shape
        self.height = self.width = 1
        self.kept = False

    def fc(self, features: int) -> None:
        """A linear layer with bias."""
        self.keep()
        self.kept = False
        self.linear += self.channels * features
        self.params += (self.channels + 1) * features
        self.channels = features
        self.activations += features

    def branch(self, channels: int | None = None) -> Tally:
        """A tally of its own that starts here, for a path beside the main one; ``add`` its total later.

        What autograd keeps of the map itself counts on the main path.
        """
        return Tally(
            self.channels if channels is None else channels, self.height, self.width
        )

    def add(self, other: Tally | Cost) -> None:
        """Add what another path, or a block, has cost; the shape stays."""
        self.conv += other.conv
        self.linear += other.linear
        self.batch_norm += other.batch_norm
        self.adaptive_avg_pool2d += other.adaptive_avg_pool2d
        self.params += other.params
        self.activations += other.activations
        self.saved += other.saved

    def total(self) -> Cost:
        return Cost(*_COUNTS(self))


# one call for all counts: complexity is asked for millions of networks
_COUNTS = attrgetter(*(field.name for field in fields(Cost)))


def _pooled(
    size: int, kernel_size: int, stride: int, padding: int, ceil_mode: bool
) -> int:
    # by how much the window can move, borders included
    free = size + 2 * padding - kernel_size
    if not ceil_mode:
        return free // stride + 1
    # rounded up
    pooled = -(-free // stride) + 1
    # torch drops a last window that would start in the right padding
    return pooled - 1 if (pooled - 1) * stride >= size + padding else pooled
