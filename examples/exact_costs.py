"""Exact costs without building anything, and networks drawn inside a budget."""

from itertools import islice

import numpy as np

from search_spaces import REFERENCES, Task, complexity, get_space

if __name__ == "__main__":
    for name, arch in REFERENCES.items():
        if name.startswith("resnest"):
            cost = complexity(arch)
            print(
                f"{name:28} {cost.macs / 1e9:6.2f} GMACs {cost.params / 1e6:6.2f} M parameters"
            )

    space, task = get_space("regnety"), Task(num_classes=100, resolution=160)
    rng = np.random.default_rng(0)
    for arch in islice(
        space.samples(rng, {"macs": (390e6, 410e6), "params": 8e6}, task), 5
    ):
        print(arch.id, f"{complexity(arch, task).macs:,} MACs", arch.to_dict())
