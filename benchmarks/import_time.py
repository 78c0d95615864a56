"""How long the first answer takes: imports in fresh interpreters, seconds of CPU, the least of several.

    python benchmarks/import_time.py [RUNS]

Exit code 1 if the help or a room loads what it must do without.
"""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {"torch", "ray", "pandas", "optuna", "pydantic", "plotly", "sklearn", "onnx"}
WITHOUT = {
    "run_search": HEAVY,
    "nas": HEAVY,
    "search_spaces": HEAVY - {"torch"},
    "evaluators": {"ray", "pandas", "optuna", "pydantic", "plotly", "onnx"},
    "results": {"ray", "torch", "optuna", "pydantic", "sklearn", "onnx", "scipy.stats"},
    "nas.driver": {"ray", "onnx", "scipy.stats", "sqlalchemy", "torch._dynamo"},
}
"""What each import does without."""
CODE = """import json, sys, time
import {name}
print(json.dumps([time.process_time(), sorted(set(sys.modules) & {heavy!r})]))"""


def measure(name: str, runs: int) -> tuple[float, list[str]]:
    """Seconds of CPU until ``import name`` is done, and which of the heavy packages it loads."""
    code = CODE.format(name=name, heavy=HEAVY.union(*WITHOUT.values()))
    found = [
        json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
        for _ in range(runs)
    ]
    return min(seconds for seconds, _ in found), found[0][1]


def main(runs: int) -> int:
    wrong = 0
    for name, without in WITHOUT.items():
        seconds, loaded = measure(name, runs)
        unwanted = without & set(loaded)
        wrong += bool(unwanted)
        mark = f"  MUST NOT: {', '.join(sorted(unwanted))}" if unwanted else ""
        print(f"{name:<14} {seconds:5.2f} s  loads {', '.join(loaded) or '-'}{mark}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
