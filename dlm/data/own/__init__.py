"""A person's own files and data sets as columns."""

from dlm.data.own.found import Own
from dlm.data.own.items import columns_of
from dlm.data.own.read import check, read
from dlm.data.own.series import Series, read_series, split_windows, windows

__all__ = ["Own", "Series", "check", "columns_of", "read", "read_series", "split_windows", "windows"]
