"""Proxy training on a machine that has torch, numpy, Pillow and pyarrow and nothing else of ours."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bare_machine import blocked

PROGRAM = """
import json
import torch
from evaluators import DataSettings, Recipe, Source, Split, proxy_train
from search_spaces import ResNeSt

def noise(count):
    labels = torch.arange(count) % 2
    return Split((torch.randint(80, (count, 3, 8, 8)) + 90 * labels[:, None, None, None]).byte(), labels)

def shades():
    torch.manual_seed(0)
    return Source(noise(120), noise(20), True)

sys.modules["shades"] = sys.modules["__main__"]
arch = ResNeSt((1, 1, 1, 1), (8, 8, 8, 8), stem_width=8)
torch.set_num_threads(1)
rows = list(proxy_train(arch, DataSettings("shades:shades"), Recipe(epochs=2, batch_size=16)))
print(json.dumps([rows, sorted(ABSENT & sys.modules.keys())]))
"""


def test_trains_with_four_packages() -> None:
    program = blocked() + PROGRAM
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert run.returncode == 0, run.stderr
    rows, present = json.loads(run.stdout)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert present == []
