"""Any table becomes a Dataset, or is refused with an error that names the column or the rule."""

import csv
import io

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlm import UsageError
from dlm.data.sources.column_sources import File

WRITERS = {
    "whole": lambda rng, n: [str(value) for value in rng.integers(-5, 50, n)],
    "far": lambda rng, n: [str(1_700_000_000_000 + value) for value in rng.integers(0, 60_000, n)],
    "id": lambda rng, n: [str(2**62 + value) for value in rng.permutation(n)],
    "long": lambda rng, n: [f"1234567890123456789{value}" for value in rng.integers(0, 3, n)],
    "real": lambda rng, n: [f"{value:.4f}" for value in rng.normal(size=n)],
    "huge": lambda rng, n: [f"{value:.3e}" for value in rng.normal(size=n) * 1e200],
    "tiny": lambda rng, n: [f"{value:.3e}" for value in rng.normal(size=n) * 1e-200],
    "infinite": lambda rng, n: [("inf", "-inf", "1.5", "2.5")[k] for k in rng.integers(0, 4, n)],
    "percent": lambda rng, n: [f"{value:.1f} %" for value in 100 * rng.random(n)],
    "money": lambda rng, n: [f"${value:,.2f}" for value in 1e4 * rng.random(n)],
    "comma": lambda rng, n: [f"{value:.2f}".replace(".", ",") for value in rng.normal(size=n)],
    "unit": lambda rng, n: [f"{value} kg" for value in rng.integers(0, 90, n)],
    "day": lambda rng, n: [f"2024-{1 + k % 12:02}-{1 + k % 28:02}" for k in rng.integers(0, 900, n)],
    "us": lambda rng, n: [f"{1 + k % 12}/{1 + k % 28}/2024 {1 + k % 12}:05 PM" for k in rng.integers(0, 900, n)],
    "time": lambda rng, n: [f"{k % 24:02}:05" for k in rng.integers(0, 900, n)],
    "month": lambda rng, n: [f"{('Jan', 'Feb', 'Mar')[k % 3]} {1 + k % 28:02} 2024" for k in rng.integers(0, 900, n)],
    "class": lambda rng, n: [("yes", "no ", "N\u00e9ant", "'quoted'")[k] for k in rng.integers(0, 4, n)],
    "rare": lambda rng, n: ["solo" if k == 3 else "usual" for k in range(n)],
    "truth": lambda rng, n: [("true", "false")[k] for k in rng.integers(0, 2, n)],
    "text": lambda rng, n: [f"a note on case {k}, with words" for k in rng.permutation(n)],
    "odd": lambda rng, n: [("\u2028", '"', "=1+1", "\x7f", "🙂")[k] for k in rng.integers(0, 5, n)],
    "constant": lambda rng, n: ["7"] * n,
    "empty": lambda rng, n: [""] * n,
    "order": lambda rng, n: [str(k) for k in range(n)],
    "mixed": lambda rng, n: [("5", "high", "<3", "1e5", "")[k] for k in rng.integers(0, 5, n)],
}
NAMES = ["x", "label", "id", "text", "image", "refractive_index", "", "Unnamed: 0", "file", "date", "a[0]", "π", "a b"]


@st.composite
def tables(draw):
    n = draw(st.sampled_from([3, 30, 45, 120]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.lists(st.sampled_from(sorted(WRITERS)), min_size=1, max_size=6))
    names = draw(st.permutations(NAMES))[: len(kinds)]
    mark = draw(st.sampled_from(["", "NA", "None", "-", "?"]))
    share = draw(st.sampled_from([0.0, 0.0, 0.02, 0.3]))
    columns = [WRITERS[kind](rng, n) for kind in kinds]
    columns = [[mark if rng.random() < share else cell for cell in column] for column in columns]
    buffer = io.StringIO()
    writer = csv.writer(
        buffer, delimiter=draw(st.sampled_from(",;\t")), lineterminator=draw(st.sampled_from(["\n", "\r\n"]))
    )
    writer.writerows([names, *zip(*columns)])
    task = draw(st.sampled_from(["auto", "auto", "classes", "numbers"]))
    return buffer.getvalue(), draw(st.sampled_from(names)), task


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_any_table_is_a_dataset_or_a_usage_error(tmp_path_factory, table):
    text, target, task = table
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text, encoding="utf-8", newline="")
    dataset, refusal = load(str(path), target, task)
    if dataset is None:
        assert str(path) in refusal or "data." in refusal
        return
    x = np.asarray(dataset.train.x, np.float64)
    assert not np.isinf(x).any()
    assert np.isfinite(dataset.train.y).all()
    assert len(dataset.feature_names) in (0, x.shape[1])
    assert any(remark.startswith("Target") for remark in dataset.remarks)


def load(path, target, task):
    """The dataset and no message, or None and the message of the UsageError."""
    try:
        return File(path, target=target, task=task).load(), ""
    except UsageError as error:
        return None, str(error)
