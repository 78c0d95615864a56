"""What searches found: event logs, tables, Pareto fronts, selection, statistics of populations, and reports."""

from results.analysis import EDF, BestOf, Quantile
from results.atomic import write_atomic
from results.comparison import Comparison, compare
from results.indicators import attainment, epsilon_indicator, hypervolume_over_time, igd_plus
from results.loading import load_front, load_run
from results.pareto import hypervolume, pareto_front, pareto_rank
from results.public import comparable, public_models
from results.report import write_report
from results.run import Run
from results.runs import Runs, load_runs
from results.schema import Event
from results.select import Selection, select
from results.snapshot import write_table
from results.store import EventLog
from results.trends import Trend, importance
from results.uncertainty import front_probability, repeat_spread

__all__ = [
    "EDF",
    "BestOf",
    "Comparison",
    "Event",
    "EventLog",
    "Quantile",
    "Run",
    "Runs",
    "Selection",
    "Trend",
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
