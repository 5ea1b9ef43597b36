"""Texts that are numbers or dates in a local notation are converted; others stay texts, with a hint."""

import datetime

import pyarrow as pa
import pytest

from dlm.data.readers.notations import converted


def convert(*texts, separator=","):
    column, remark = converted(pa.chunked_array([pa.array(texts, pa.string())]), separator)
    return column, remark


@pytest.mark.parametrize(
    ("texts", "numbers", "word"),
    [
        (["57.3 %", "1%", None], [57.3, 1.0, None], "57.3 %"),
        (["$1,250.00", "-$4", "12"], [1250.0, -4.0, 12.0], "1250"),
        (["1.250,00 €", "3 €"], [1250.0, 3.0], "decimal points"),
        (["1 250,5", "2 000"], [1250.5, 2000.0], "1250"),
        (["1'250", "3"], [1250.0, 3.0], "1'250"),
        (["(12.5)", "3"], [-12.5, 3.0], "-12.5"),
        (["−5", "3"], [-5.0, 3.0], "-5"),
        (["1.5", "None", "-", "2"], [1.5, None, None, 2.0], "'None', '-'"),
        (["1.5", " 2 "], [1.5, 2.0], "read as numbers"),
    ],
)
def test_unambiguous_numbers_are_read_with_a_remark(texts, numbers, word):
    column, remark = convert(*texts)
    assert column.to_pylist() == numbers
    assert word in remark


@pytest.mark.parametrize(
    ("texts", "moment"),
    [
        (["03/25/2024 1:05 PM", "03/01/2024 12:05 AM"], (2024, 3, 25, 13, 5)),
        (["Mar 25 2024", "May 5 2024"], (2024, 3, 25)),
        (["March 25, 2024 1:05 PM", "May 5, 2024 12:00 AM"], (2024, 3, 25, 13, 5)),
        (["25-Mar-2024", "5-May-2024"], (2024, 3, 25)),
        (["2024-03-25T13:05:06.5Z", "2024-03-01T00:00:00Z"], (2024, 3, 25, 13, 5, 6, 500000)),
        (["2024-03-25 13:05+02:00", "2024-03-01 00:00+02:00"], (2024, 3, 25, 11, 5)),
        (["2024-03-25", "None"], (2024, 3, 25)),
    ],
)
def test_unambiguous_dates_are_read_with_a_remark(texts, moment):
    column, remark = convert(*texts)
    assert column[0].as_py() == datetime.datetime(*moment)
    assert f"dates like {texts[0]}" in remark


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["5 kg", "6 kg", "7 g"], "look like numbers"),
        (["<5", "3", "4"], "look like numbers"),
        (["$5", "€6", "7"], "look like numbers"),
        (["5%", "6", "7"], "look like numbers"),
        (["00123", "4", "5"], "leading zeros"),
        (["01/02/24", "02/03/24", "03/04/24"], "years need four digits"),
        (["2024-02-30", "2024-02-01", "2024-02-02"], "not valid calendar days"),
        (["Feb 30 2024", "Mar 1 2024", "Mar 2 2024"], "look like dates"),
        (["13:05 PM", "14:05 PM", "1:05 PM"], "look like dates"),
    ],
)
def test_other_texts_that_look_like_numbers_or_dates_get_a_hint(texts, words):
    column, remark = convert(*texts)
    assert column.to_pylist() == texts
    assert words in remark


def test_names_of_classes_are_cleaned_only():
    column, remark = convert("None ", "mild", " re\u0301el", None)
    assert (column.to_pylist(), remark) == (["None", "mild", "r\u00e9el", None], "")


def test_identifiers_of_many_digits_are_not_rounded():
    column, _ = convert("12345678901234567890", "12345678901234567891")
    assert column.to_pylist() == ["12345678901234567890", "12345678901234567891"]
