"""Every type of Arrow becomes a column, or is refused by name."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from dlm.data.readers import arrow
from dlm.data.readers.tables import _normalized, columns_of_table

N = 40
WHOLE = [k % 7 for k in range(N)]
REAL = [k / 8 for k in range(N)]
TEXTS = [("low", "high")[k % 2] for k in range(N)]
BYTES = [text.encode() for text in TEXTS]
DAYS = [datetime.date(2024, 1, 1 + k % 28) for k in range(N)]
MOMENTS = [datetime.datetime(2024, 1, 1 + k % 28, k % 24) for k in range(N)]
TIMES = [datetime.time(k % 24, k) for k in range(N)]
DELTAS = [datetime.timedelta(seconds=k % 7) for k in range(N)]
DECIMALS = [Decimal(k) / 8 for k in range(N)]
LISTS = [[float(k), 1.0] for k in range(N)]

NUMBERS = {
    **{
        f"{sign}int{bits}": pa.array(WHOLE, getattr(pa, f"{sign}int{bits}")())
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
    "half": pa.array(np.array(REAL, np.float16)),
    "float": pa.array(REAL, pa.float32()),
    "double": pa.array(REAL, pa.float64()),
    **{f"decimal{bits}": pa.array(DECIMALS, getattr(pa, f"decimal{bits}")(9, 3)) for bits in (32, 64, 128, 256)},
    "bool": pa.array([k % 2 == 0 for k in range(N)]),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([k % 2 for k in range(N)], pa.int8())),
    "time32": pa.array(TIMES, pa.time32("s")),
    "time64": pa.array(TIMES, pa.time64("ns")),
    "duration": pa.array(DELTAS, pa.duration("ms")),
    "dictionary of numbers": pa.array(WHOLE).dictionary_encode(),
    "runs of numbers": pa.RunEndEncodedArray.from_arrays([N // 2, N], pa.array([1.0, 2.0])),
    "text of numbers": pa.array(map(str, REAL), pa.large_string()),
}
DATES = {
    "date32": pa.array(DAYS, pa.date32()),
    "date64": pa.array(DAYS, pa.date64()),
    **{f"timestamp {unit}": pa.array(MOMENTS, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    "timestamp with zone": pa.array(MOMENTS, pa.timestamp("us", "Europe/Berlin")),
}
CLASSES = {
    "string": pa.array(TEXTS),
    "large_string": pa.array(TEXTS, pa.large_string()),
    "string_view": pa.array(TEXTS, pa.string_view()),
    "binary": pa.array(BYTES, pa.binary()),
    "large_binary": pa.array(BYTES, pa.large_binary()),
    "binary_view": pa.array(BYTES, pa.binary_view()),
    "fixed_size_binary": pa.array([text[:3] for text in BYTES], pa.binary(3)),
    "dictionary": pa.array(TEXTS).dictionary_encode(),
    "dictionary of views": pa.DictionaryArray.from_arrays(
        pa.array([k % 2 for k in range(N)], pa.int8()), pa.array(["low", "high"], pa.string_view())
    ),
    "runs": pa.RunEndEncodedArray.from_arrays([N // 2, N], pa.array(["low", "high"])),
    "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(TEXTS)),
}
ARRAYS = {
    "list": pa.array(LISTS),
    "large_list": pa.array(LISTS, pa.large_list(pa.float64())),
    "fixed_size_list": pa.array(LISTS, pa.list_(pa.float32(), 2)),
    "list_view": pa.array(LISTS, pa.list_view(pa.float64())),
    "large_list_view": pa.LargeListViewArray.from_arrays(
        pa.array(range(0, 2 * N, 2), pa.int64()), pa.array([2] * N, pa.int64()), pa.array(np.ravel(LISTS))
    ),
    "list of decimals": pa.array([[each, each] for each in DECIMALS], pa.list_(pa.decimal128(9, 3))),
    "tensor": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2]), pa.array(LISTS, pa.list_(pa.float32(), 2))
    ),
}
REFUSED = {
    "struct": pa.array([{"a": k} for k in range(N)]),
    "map": pa.array([[("a", k)] for k in range(N)], pa.map_(pa.string(), pa.int64())),
    "list of texts": pa.array([[text] for text in TEXTS]),
    "list of lists": pa.array([[row] for row in LISTS]),
    "missing lists": pa.array([None, *LISTS[1:]]),
    "interval": pa.array([pa.MonthDayNano([1, k, 0]) for k in range(N)]),
    "union": pa.UnionArray.from_sparse(pa.array([0] * N, pa.int8()), [pa.array(WHOLE)]),
    "bytes": pa.array([bytes([255, k]) for k in range(N)]),
    "uuid": pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([bytes([255 - k] * 16) for k in range(N)], pa.binary(16))
    ),
}


def read(array):
    table, _ = _normalized(pa.table({"a": array, "y": TEXTS}), ",")
    return columns_of_table(table, "y")


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        *(("number", array) for array in (NUMBERS | ARRAYS).values()),
        *(("date", array) for array in DATES.values()),
        *(("class", array) for array in CLASSES.values()),
    ],
    ids=[*NUMBERS, *ARRAYS, *DATES, *CLASSES],
)
def test_a_type_becomes_a_column(kind, array):
    columns, _, _ = read(array)
    assert columns["a"].kind == kind
    assert len(columns["a"]) == N


@pytest.mark.parametrize("array", REFUSED.values(), ids=REFUSED)
def test_other_types_are_refused_by_name(array):
    columns, _, remarks = read(array)
    assert "a" not in columns
    assert any("is not supported" in remark and ": a" in remark for remark in remarks)


def test_every_type_of_arrow_is_covered():
    arrays = (NUMBERS | DATES | CLASSES | ARRAYS | REFUSED).values()
    covered = {array.type.id for array in arrays}
    # Not written by pyarrow; handled as other intervals, as unions, and as columns without values.
    others = {pa.lib.Type_INTERVAL_MONTHS, pa.lib.Type_INTERVAL_DAY_TIME, pa.lib.Type_DENSE_UNION, pa.lib.Type_NA}
    ids = {getattr(pa.lib, name) for name in vars(pa.lib) if name.startswith("Type_")}
    assert ids - others <= covered


def test_large_integers_stay_exact():
    ids = [2**60 + k for k in range(N)]
    assert arrow.column("a", pa.chunked_array([pa.array(ids)])).array.tolist() == ids
