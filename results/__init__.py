"""What a search found: its event log, tables, Pareto front, hypervolume and report."""

from results.atomic import write_atomic
from results.pareto import hypervolume, pareto_front
from results.report import write_report
from results.run import Run, load_run
from results.store import Event, EventLog

__all__ = [
    "Event",
    "EventLog",
    "Run",
    "hypervolume",
    "load_run",
    "pareto_front",
    "write_atomic",
    "write_report",
]
