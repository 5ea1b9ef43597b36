"""Data sources, and the datasets, subsets and batches that they give."""

from dlm.data.dataset import Dataset, Split, hold_out
from dlm.data.sources.bundled import BreastCancer, Digits, StdlibText
from dlm.data.sources.column_sources import File, Tfds, from_items
from dlm.data.sources.ratings import NextItems, Ratings
from dlm.data.sources.time_series import Series, TfdsSeries

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
