"""When a trial stops: multi-objective ASHA, ASHA by one metric, successive halving, or a rule of one's own."""

from nas.stopper.asha import MultiObjectiveASHA

__all__ = ["MultiObjectiveASHA"]
