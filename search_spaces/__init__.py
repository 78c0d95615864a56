"""Design spaces of split-attention networks: knobs, networks, exact costs. Needs torch and numpy alone."""

from search_spaces.arch import Arch
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.ends import Head, Stem
from search_spaces.blocks.residual import Block
from search_spaces.blocks.split_attention import SplitAttention
from search_spaces.catalog import (
    REFERENCES,
    get_space,
    list_networks,
    reference,
)
from search_spaces.cost import OPERATORS, Cost, Tally
from search_spaces.families.fbnetv2 import FBNetV2
from search_spaces.families.fbnetv2_space import FBNetV2Space
from search_spaces.families.regnety import RegNetY, RegNetYSpace
from search_spaces.families.resnest import ResNeSt, ResNeStSpace
from search_spaces.folding import fold
from search_spaces.grid import Grid
from search_spaces.joint import arch_from_dict
from search_spaces.knobs import Trial, choose
from search_spaces.network import Description, Network, build, complexity
from search_spaces.space import SearchSpace
from search_spaces.task import IMAGENET, Task
from search_spaces.unions import union

__all__ = [
    "IMAGENET",
    "OPERATORS",
    "REFERENCES",
    "Arch",
    "Block",
    "Bottleneck",
    "Cost",
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
    "list_networks",
    "reference",
    "union",
]
