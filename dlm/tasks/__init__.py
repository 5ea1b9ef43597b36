"""Tasks: what a batch's loss and error are."""

from dlm.tasks.classification import Classification

__all__ = ["Classification"]
