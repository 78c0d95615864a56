"""How to train: a value that yields the optimiser, the learning rate and the precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from evaluators.fields import Bounds, FieldError, check, require
from evaluators.training.augment import Augmentation
from evaluators.training.optimizers.muon import Muon
from evaluators.training.optimizers.sgd import SGD
from search_spaces import Arch
from search_spaces.joint import settings_of
from search_spaces.knobs import KnobValue

OptimizerName = Literal["sgd", "muon"]
Schedule = Literal["cosine", "one_cycle"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

PLAIN = Augmentation()
SMALLEST_PART = 8
"""Images: norms that see fewer at a time tell the network more of their neighbours than of themselves."""
LONGEST_WARMUP = 0.5
"""Share of the training: a rate that has no time to fall leaves the network where it was thrown."""
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 10_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """SGD with Nesterov momentum, a schedule, label smoothing, and what else decides a training.

    Attributes:
        images_per_epoch: images trained on before the network is validated; None: all there are, once. Fewer are
            drawn without repeats: the next epoch goes on where this one stopped, until all have had their turn.
        rung_images: of the validation images, so many after every epoch but the last, which sees all; None: all.
        mirrored: also tell the accuracy of an image and its mirror image averaged, for twice the validation.
        batch_size: images a step, those of all processes together.
        lr: the peak for batches of 256 images; it scales with the batch size (Goyal et al. 2017, "Accurate,
            Large Minibatch SGD").
        weight_decay: only of the weights of convolutions and linear layers.
        schedule: ``cosine`` to zero after a linear warm-up of ``warmup_epochs``, which takes half of the training
            at most; or ``one_cycle``, which rises
            for 30 % of the training and then falls, both along a cosine, momentum staying as it is (Smith and
            Topin 2017, "Super-Convergence").
        augment: what is done to the images; leave digits and letters unmirrored.
        clip_norm: the most that the norm of all gradients may be; None for no limit.
        ema: decay per step of the moving average of the weights that is evaluated instead of them; 0 for none.
            After t steps it is at most (1 + t) / (10 + t), so that a short training forgets its first weights too.
        accumulate: how many parts a batch is trained in, one after the other, to need less memory; a part has at
            least 8 images.
        precision: of convolutions and products. ``auto`` is float32 on the CPU and on a GPU bfloat16, or
            float16 where the GPU cannot do that.
        cuda_graph: record the step once and replay it, on a GPU.
        compile: have ``torch.compile`` make the network's kernels; pays for long trainings.
        zero_gamma: residual branches start at zero (Goyal et al. 2017, section 5.1).
        stochastic_depth: probability that an image skips the branch of the last residual block, falling linearly
            to 0 before the first (Huang et al. 2016, "Deep Networks with Stochastic Depth").
        drop_block: share of the maps that is blanked in squares in the last two stages, rising linearly from 0
            over the training (Ghiasi et al. 2018, "DropBlock").
        drop_block_size: side of such a square, in pixels of the maps; as large as them at most.
        sync_norm: norms see the whole batch, not their process's part of it.

    The defaults suit a thousand small images.

    Raises:
        ValueError: naming the field that is wrong.
    """

    epochs: Annotated[int, Bounds(ge=1)] = 9
    images_per_epoch: Annotated[int | None, Bounds(ge=2, unit="images")] = None
    rung_images: Annotated[int | None, Bounds(ge=1, unit="images")] = None
    mirrored: bool = False
    batch_size: Annotated[int, Bounds(ge=2, unit="images", why=", for batch norm")] = 64
    optimizer: OptimizerName = "sgd"
    lr: Annotated[float, Bounds(gt=0)] = 0.4
    momentum: Annotated[float, Bounds(gt=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Bounds(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Bounds(ge=0, lt=1)] = 0.1
    schedule: Schedule = "cosine"
    warmup_epochs: Annotated[float, Bounds(ge=0)] = 1.0
    augment: Augmentation = PLAIN
    clip_norm: Annotated[float | None, Bounds(gt=0)] = None
    ema: Annotated[float, Bounds(ge=0, lt=1)] = 0.0
    accumulate: Annotated[int, Bounds(ge=1, unit="parts")] = 1
    precision: Precision = "auto"
    cuda_graph: bool = True
    compile: bool = False
    zero_gamma: bool = True
    stochastic_depth: Annotated[float, Bounds(ge=0, lt=1)] = 0.0
    drop_block: Annotated[float, Bounds(ge=0, lt=1)] = 0.0
    drop_block_size: Annotated[int, Bounds(ge=1, unit="pixels")] = 7
    sync_norm: bool = False

    def __post_init__(self) -> None:
        check(self)
        require(
            self,
            "warmup_epochs",
            self.warmup_epochs <= self.epochs,
            f"at most epochs, {self.epochs}",
        )
        require(
            self,
            "mirrored",
            self.augment.flip or not self.mirrored,
            "false unless augment.flip says that images may be mirrored",
        )
        most = self.batch_size // 2
        require(
            self,
            "accumulate",
            self.accumulate <= most,
            f"at most {most}, which leaves 2 images to a part",
        )

    def lr_at(self, epoch: float) -> float:
        """The learning rate after so many epochs, which need not be whole."""
        # linear scaling: lr is for batches of 256
        peak = self.lr * self.batch_size / 256
        if self.schedule == "one_cycle":
            top = ONE_CYCLE_RISE * self.epochs
            if epoch < top:
                return peak * _half_cosine(ONE_CYCLE_START, 1, epoch / top)
            return peak * _half_cosine(
                1, ONE_CYCLE_END, (epoch - top) / (self.epochs - top)
            )
        top = min(self.warmup_epochs, LONGEST_WARMUP * self.epochs)
        if epoch < top:
            return peak * epoch / top
        # the middle of the last step lies before it; only a caller's question comes here
        if epoch >= self.epochs:
            return 0.0
        return peak * _half_cosine(1, 0, (epoch - top) / (self.epochs - top))

    def optimizer_of(self, model: nn.Module, lr: float | Tensor = 0.0) -> SGD:
        """The optimiser of a model's parameters; its learning rate is to be set every step.

        A replayed CUDA graph reads it from the tensor ``lr``. Momentum starts as zeros: the fused step that a
        float16 overflow skips would leave it uninitialised.
        """
        decayed, rest = split_parameters(model)
        convolutions = matrices_of(model) if self.optimizer == "muon" else []
        others = {id(convolution.weight) for convolution in convolutions}
        groups = [
            {
                "params": [p for p in decayed if id(p) not in others],
                "weight_decay": self.weight_decay,
            },
            {"params": rest, "weight_decay": 0.0},
        ]
        optimizer = (
            Muon(
                convolutions,
                groups,
                lr=lr,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
            )
            if convolutions
            else SGD(groups, lr=lr, momentum=self.momentum, nesterov=True, fused=True)
        )
        for parameter in model.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return optimizer

    def dtype(self, device: torch.device) -> torch.dtype:
        """What ``precision`` means on this device; ``ValueError`` if the device cannot train in it."""
        if self.precision == "float16" and device.type != "cuda":
            raise ValueError(
                "Recipe: precision float16 needs a GPU; use auto, float32 or bfloat16"
            )
        if self.precision != "auto":
            dtypes = {
                "float32": torch.float32,
                "bfloat16": torch.bfloat16,
                "float16": torch.float16,
            }
            return dtypes[self.precision]
        if device.type != "cuda":
            return torch.float32
        # bfloat16 came with compute capability 8; before that it is emulated, slowly
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float16


DEFAULT_RECIPE = Recipe()


def with_settings(recipe: Recipe, settings: Mapping[str, KnobValue]) -> Recipe:
    """``recipe`` with these settings, such as ``{"lr": 0.1, "augment.shift": 2}``, and nothing left to choose.

    Raises:
        FieldError: naming the setting that is wrong.
    """
    plain = {each.name: getattr(recipe, each.name) for each in fields(Recipe)}
    for name, value in settings.items():
        outer, _, inner = name.rpartition(".")
        try:
            change = replace(plain[outer], **{inner: value}) if outer else value
        except FieldError as error:
            raise FieldError("Recipe", (outer, *error.path), error.problem) from error
        plain[outer or name] = change
    return Recipe(**plain)


def recipe_for(arch: Arch, recipe: Recipe) -> Recipe:
    """``recipe`` with what was chosen for the training of ``arch``."""
    return with_settings(recipe, settings_of(arch))


def _half_cosine(start: float, end: float, progress: float) -> float:
    """From ``start`` to ``end`` along half a period, for ``progress`` from 0 to 1."""
    cosine = math.cos(math.pi * min(progress, 1))
    return end + (start - end) * (1 + cosine) / 2


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights of convolutions and linear layers, and the rest: every norm parameter and every bias."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    # by module, not by shape: a norm's weight and a bias are vectors, and so may be others
    decayed = {
        id(module.weight) for module in model.modules() if isinstance(module, kinds)
    }
    parameters = list(model.parameters())
    return [p for p in parameters if id(p) in decayed], [
        p for p in parameters if id(p) not in decayed
    ]


def matrices_of(model: nn.Module) -> list[nn.Conv2d]:
    """The convolutions that Muon trains: all over an image, but depthwise ones, whose matrices have a single row.

    Behind the network's pooling they are a classifier's linear layers. Muon leaves those to another optimiser, and
    an FBNetV2's is its largest matrix: orthogonal steps would cost it several times what the images do.
    """
    behind = {
        id(module) for part in _behind_pooling(model) for module in part.modules()
    }
    return [
        module
        for module in model.modules()
        if type(module) is nn.Conv2d
        and module.groups < module.out_channels
        and id(module) not in behind
    ]


def _behind_pooling(model: nn.Module) -> Iterator[nn.Module]:
    """What follows the first global pooling among the model's children."""
    parts = iter(model.children())
    for part in parts:
        if isinstance(part, nn.AdaptiveAvgPool2d):
            yield from parts
