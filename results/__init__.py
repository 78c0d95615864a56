"""What searches found: event logs, tables, Pareto fronts, selection, statistics of populations, and reports."""

from results.analysis import EDF, BestOf, Quantile
from results.atomic import write_atomic
from results.comparison import compare
from results.indicators import attainment, epsilon_indicator, hypervolume_over_time, igd_plus
from results.pareto import hypervolume, pareto_front, pareto_rank
from results.public import comparable, public_models
from results.report import write_report
from results.run import Run, load_run
from results.select import Selection, select
from results.store import Event, EventLog
from results.trends import Trend, importance
from results.uncertainty import front_probability, repeat_spread

__all__ = [
    "EDF",
    "BestOf",
    "Event",
    "EventLog",
    "Quantile",
    "Run",
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
    "load_run",
    "pareto_front",
    "pareto_rank",
    "public_models",
    "repeat_spread",
    "select",
    "write_atomic",
    "write_report",
]
