"""Design spaces of split-attention networks: knobs, networks, exact costs. Needs torch and numpy alone."""

from .arch import Arch
from .blocks import Block, Bottleneck
from .catalog import REFERENCES, arch_from_dict, get_space, reference
from .cost import OPERATORS, Complexity, Tally
from .fbnetv2 import FBNetV2, FBNetV2Space
from .fold import fold
from .grid import Grid
from .layers import IMAGENET, Head, Stem, Task
from .network import Description, Network, build, complexity
from .regnety import RegNetY, RegNetYSpace
from .resnest import ResNeSt, ResNeStSpace
from .space import SearchSpace, Trial, choose
from .split_attention import SplitAttention

__all__ = [
    "IMAGENET",
    "OPERATORS",
    "REFERENCES",
    "Arch",
    "Block",
    "Bottleneck",
    "Complexity",
    "Description",
    "FBNetV2",
    "FBNetV2Space",
    "Grid",
    "Head",
    "Network",
    "RegNetY",
    "RegNetYSpace",
    "ResNeSt",
    "ResNeStSpace",
    "SearchSpace",
    "SplitAttention",
    "Stem",
    "Tally",
    "Task",
    "Trial",
    "arch_from_dict",
    "build",
    "choose",
    "complexity",
    "fold",
    "get_space",
    "reference",
]
