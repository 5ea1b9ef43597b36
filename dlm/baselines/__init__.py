"""Classical learners, run on the very same subsets as the deep ones."""

from dlm.baselines.boosting import GradientBoosting
from dlm.baselines.linear import LogisticRegression, Ridge
from dlm.baselines.ngram import KneserNey
from dlm.baselines.text import BagOfWords

__all__ = ["BagOfWords", "GradientBoosting", "KneserNey", "LogisticRegression", "Ridge"]
