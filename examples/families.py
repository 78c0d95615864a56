"""Three families as one space: drawn evenly inside a budget, then searched together."""

from collections import Counter
from itertools import islice

import numpy as np

from search_spaces import Task, complexity, get_space

families = get_space(
    [
        {"name": "resnest", "radix": [1, 2, 4]},
        {"name": "regnety", "attention": ["se", "split"]},
        "fbnetv2",
    ]
)
task = Task(num_classes=10, resolution=224)
limits = {"macs": (0.3e9, 0.5e9)}
drawn = list(islice(families.samples(np.random.default_rng(0), limits, task), 30))
print(Counter(arch.space for arch in drawn))

for arch in drawn[:3]:
    knobs = families.params(arch)  # the family, and under it its own knobs
    print(knobs["family"], f"{complexity(arch, task).macs:,} MACs", arch.id)

# In settings it is the same list (preset cifar10-families); the whole search, to trained networks:
#     splitsearch search cifar10-families --set 'finalists={networks: 8}'
