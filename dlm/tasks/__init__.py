"""Tasks: what a batch's loss and error are."""

from dlm.tasks.base import Task
from dlm.tasks.classification import Classification
from dlm.tasks.decisions import Decisions
from dlm.tasks.language_modelling import LanguageModelling
from dlm.tasks.next_item import NextItem
from dlm.tasks.rare_events import RareEvents
from dlm.tasks.regression import Forecasting, Regression

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
