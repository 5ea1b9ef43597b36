"""Classical learners, run on the very same subsets as the deep ones."""

from dlm.baselines.linear import LogisticRegression

__all__ = ["LogisticRegression"]
