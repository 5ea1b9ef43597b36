"""Sources of data, and the subsets and batches drawn from them."""

from dlm.data.arrays import Arrays, Split, hold_out
from dlm.data.file_source import File
from dlm.data.in_time import TfdsSeries
from dlm.data.items_source import from_items
from dlm.data.ratings_source import NextItems, Ratings
from dlm.data.series_source import Series
from dlm.data.sklearn_source import BreastCancer, Digits
from dlm.data.stdlib_text import StdlibText
from dlm.data.tfds_source import Tfds

__all__ = [
    "Arrays",
    "BreastCancer",
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
