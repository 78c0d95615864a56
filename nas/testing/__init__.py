"""What authors of plug-ins test them with: contracts to inherit, and whole searches in a simulated world.

Needs pytest; nothing else in the package imports this one.
"""

from nas.testing.histories import History, simulate_history
from nas.testing.invariants import ViolationError, check_history, check_log
from nas.testing.sampler_contract import (
    QUALITY_OBJECTIVES,
    TINY,
    SamplerContract,
    measure_quality,
    run_proposer,
)
from nas.testing.world import World

__all__ = [
    "QUALITY_OBJECTIVES",
    "TINY",
    "History",
    "SamplerContract",
    "ViolationError",
    "World",
    "check_history",
    "check_log",
    "measure_quality",
    "run_proposer",
    "simulate_history",
]
