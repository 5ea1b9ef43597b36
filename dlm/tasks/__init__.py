"""Tasks: what a batch's loss and error are."""

from dlm.tasks.classification import Classification
from dlm.tasks.language_modelling import LanguageModelling
from dlm.tasks.regression import Regression
from dlm.tasks.task import Task

__all__ = ["Classification", "LanguageModelling", "Regression", "Task"]
