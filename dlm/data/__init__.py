"""Sources of data, and the subsets and batches drawn from them."""

from dlm.data.dataset import Dataset, Split, hold_out
from dlm.data.sources.bundled import BreastCancer, Digits, StdlibText
from dlm.data.sources.ratings import NextItems, Ratings
from dlm.data.sources.tfds import Tfds
from dlm.data.sources.time_series import Series, TfdsSeries
from dlm.data.sources.user_data import File, from_items

__all__ = [
    "BreastCancer",
    "Dataset",
    "Digits",
    "File",
    "NextItems",
    "Ratings",
    "Series",
    "Split",
    "StdlibText",
    "Tfds",
    "TfdsSeries",
    "from_items",
    "hold_out",
]
