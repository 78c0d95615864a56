"""When a trial stops: multi-objective ASHA, median and own rules."""

from nas.stopper.asha import MultiObjectiveASHA

__all__ = ["MultiObjectiveASHA"]
