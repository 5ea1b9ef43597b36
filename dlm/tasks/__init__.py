"""Tasks: the training loss, the error that is reported, and further metrics."""

from dlm.tasks.base import Task
from dlm.tasks.classification import Classification
from dlm.tasks.decisions import Decisions
from dlm.tasks.rare_events import RareEvents
from dlm.tasks.regression import Forecasting, Regression
from dlm.tasks.tokens import LanguageModelling, NextItem

__all__ = [
    "Classification",
    "Decisions",
    "Forecasting",
    "LanguageModelling",
    "NextItem",
    "RareEvents",
    "Regression",
    "Task",
]
