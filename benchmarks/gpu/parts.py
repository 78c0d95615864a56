"""All parts by what they are worth: what must hold, the figures to reach, what else is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.gpu import (
    checks,
    checks_latency,
    checks_memory,
    measure_attention,
    measure_latency,
    measure_search,
    measure_training,
)
from benchmarks.gpu.setting import Figures, Goal, MissingError, Part, Setting, needs
from search_spaces import list_networks

ROOT = Path(__file__).parents[2]
GRAPHS = {
    "plain": {},
    "accumulate": {"accumulate": 2},
    "clip": {"clip_norm": 1.0},
    "ema": {"ema": 0.9},
    "bfloat16": {"precision": "bfloat16"},
    "muon": {"optimizer": "muon"},
}
CHECKS = (
    *(
        Part(f"check equals-cpu {name}", checks.equals_cpu(arch))
        for name, arch in checks.FAMILIES.items()
    ),
    *(
        Part(f"check precision {name}", checks.precision(name))
        for name in ("auto", "bfloat16", "float16")
    ),
    *(
        Part(f"check graph {name}", checks.graph(**options))
        for name, options in GRAPHS.items()
    ),
    Part("check dropping", checks.dropping),
    Part("check evaluation", checks.evaluation),
    Part("check resume", checks.resumes),
    Part("check accumulation", checks.accumulation),
    Part("check streaming", checks.streaming),
    Part("check out-of-memory", checks_memory.out_of_memory),
    Part("check memory-cap", checks_memory.memory_cap),
    Part("check memory-estimate", checks_memory.memory_estimate),
    Part("check waits", checks.waits),
    Part("check compiled-blocks", checks.compiled_blocks, 180),
    Part("check latency", checks_latency.latency()),
    Part("check latency graph", checks_latency.latency(cuda_graph=True)),
    Part("check latency compiled", checks_latency.latency(compile=True), 120),
    Part("check graph-output", checks_latency.graph_output),
    Part("check evaluator", checks_latency.evaluator),
    Part("check nvml", checks_latency.clocks),
    Part("check lock", checks_latency.lock),
)


def marked_tests(setting: Setting) -> Figures:
    """The tests marked ``cuda``, by pytest."""
    needs("pytest")
    if not setting.cuda:
        raise MissingError("needs a GPU: without one these tests are skipped")
    # only those files: others import what may not be there
    files = [
        str(file)
        for file in (ROOT / "tests" / "evaluators").rglob("test_*.py")
        if "pytest.mark.cuda" in file.read_text()
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", *files]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = done.stdout.strip().splitlines()[-1:] or [done.stderr[-200:]]
    if done.returncode:
        raise AssertionError(last[0])
    return {"pytest": last[0]}


MEASUREMENTS = (
    Part("tests marked cuda", marked_tests, 180),
    Part(
        "split-attention eager",
        measure_attention.split_attention(compiled=False),
        60,
        (Goal("speedup", least=1.5),),
    ),
    Part(
        "engine small",
        measure_training.against_plain_loop(measure_training.SMALL),
        120,
        (Goal("ratio", least=5),),
        images=True,
    ),
    Part(
        "trials at once",
        measure_training.trials_at_once,
        240,
        (Goal("proxies_in_30_min", least=200),),
        images=True,
    ),
    Part("proxy training", measure_training.proxy, 120, images=True),
    Part(
        "to 94 %",
        measure_training.to_94_percent,
        180,
        (Goal("test_accuracy", least=0.94), Goal("seconds", most=30)),
        images=True,
    ),
    Part("repeatability", measure_latency.repeatability, 180, (Goal("cv", most=0.02),)),
    Part(
        "beside trainers",
        measure_latency.beside_trainers,
        120,
        (Goal("with_lock", most=0.03),),
    ),
    Part(
        "predictor",
        measure_latency.predictor,
        240,
        (Goal("mape", most=0.05), Goal("tau", least=0.9)),
    ),
    Part("resnest50 step", measure_training.resnest50_step, 120),
    Part(
        "split-attention compiled",
        measure_attention.split_attention(compiled=True),
        180,
    ),
    Part(
        "engine large",
        measure_training.against_plain_loop(measure_training.LARGE),
        120,
        images=True,
    ),
    Part("compiling", measure_training.compiling, 180, images=True),
    *(
        Part(
            f"latency {name}",
            measure_latency.published(name),
            240 if name in measure_latency.COMPILED else 60,
        )
        for name in list_networks()
    ),
    *(
        Part(f"latency of {package}", measure_latency.others(package), 60)
        for package in measure_latency.OTHERS
    ),
    # it searches as long as there is time, so it takes what the others have left
    Part("search", measure_search.search, 1500, images=True, reserved=0.4),
)
PARTS = CHECKS + MEASUREMENTS
