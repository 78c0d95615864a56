"""What searches found: event logs, tables, Pareto fronts, selection, statistics of populations, and reports."""

from results.atomic import write_atomic
from results.log.event_log import EventLog
from results.log.events import Event, TrialStatus
from results.log.memory import MemoryLog
from results.pareto.indicators import (
    attainment,
    epsilon_indicator,
    hypervolume_over_time,
    igd_plus,
)
from results.pareto.pareto import hypervolume, pareto_front, pareto_rank
from results.pareto.select import Selection, select
from results.pareto.uncertainty import front_probability, repeat_spread
from results.report.report import write_report
from results.runs.loading import load_front, load_run
from results.runs.run import Run
from results.runs.runs import Runs, load_runs
from results.runs.snapshot import write_table
from results.statistics.comparison import Comparison, compare
from results.statistics.populations import EDF, BestOf, Quantile
from results.statistics.public_models import comparable, public_models
from results.statistics.trends import Trend, importance

__all__ = [
    "EDF",
    "BestOf",
    "Comparison",
    "Event",
    "EventLog",
    "MemoryLog",
    "Quantile",
    "Run",
    "Runs",
    "Selection",
    "Trend",
    "TrialStatus",
    "attainment",
    "comparable",
    "compare",
    "epsilon_indicator",
    "front_probability",
    "hypervolume",
    "hypervolume_over_time",
    "igd_plus",
    "importance",
    "load_front",
    "load_run",
    "load_runs",
    "pareto_front",
    "pareto_rank",
    "public_models",
    "repeat_spread",
    "select",
    "write_atomic",
    "write_report",
    "write_table",
]
