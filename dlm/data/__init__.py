"""Sources of data, and the subsets and batches drawn from them."""

from dlm.data.arrays import Arrays, Split
from dlm.data.sklearn_source import Digits
from dlm.data.tfds_source import Tfds

__all__ = ["Arrays", "Digits", "Split", "Tfds"]
