"""Infers the roles of columns: which are unusable, which is the target, whether it is a class, which are inputs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from dlm.data.columns import Column, Columns
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

Task = Literal["auto", "classes", "numbers"]

TARGET_NAMES = ("label", "target", "class", "y")
TABLE_TARGET_NAMES = (*TARGET_NAMES, "labels")
INPUT_NAMES = ("image", "audio", "text", "features", "x")
TEXT_NAMES = (
    "text", "texts", "sentence", "document", "review", "comment", "tweet", "message", "content", "body", "prompt",
)  # fmt: skip
MIN_TEXT_LETTERS, MIN_TEXT_WORDS = 20, 3  # mean per row, of texts that are not names of classes
MAX_DISTINCT_CLASSES = 20  # distinct texts up to which a column is one of classes, whatever their length
MAX_INTEGER_CLASSES = 20  # distinct integers up to which a target is one of classes
MIN_ROWS_PER_CLASS = 5  # of integer classes, on average
MIN_RUN = 20  # distinct consecutive integers that are row numbers, in any order
MAX_NOTE_BYTES = 100  # mean length of a text that is not the input if there are several other columns
MAX_LISTED = 12  # names in a remark
_UNNAMED = re.compile(r"^Unnamed: ?\d+(\.\d+)*(_level_\d+)?$|^__index_level_\d+__$|^column \d+_*$|^(level_\d+|index)$")
_REPEATED_ID_NAME = re.compile(r"(^|[\W_])(?i:id|ids|uid|uuid|guid)$|[a-z](Id|ID)$")
_ID_NAME = re.compile(rf"(^|[\W_])(?i:id|ids|uid|uuid|guid|key|index|idx|rownames)$|[a-z](Id|ID)$|{_UNNAMED.pattern}")
_HASH = r"^[0-9A-Fa-f-]{16,}$"  # hashes and UUIDs


def infer_target(columns: Columns, inputs: tuple[str, ...]) -> str:
    """The target: a column of a usual name, else the only class column, else the only text, for language modelling."""
    free = [name for name in columns if name not in inputs]
    for name in TARGET_NAMES:
        if name in free:
            return name
    classes = [name for name in free if columns[name].kind == "class"]
    if len(classes) == 1:
        return classes[0]
    texts = [name for name in columns if columns[name].kind == "text"]
    if len(columns) == len(texts) == 1:
        return texts[0]
    raise UsageError(f"cannot infer the target column; set data.target to one of: {_with_kinds(columns)}")


def target_by_name(names: Sequence[str]) -> str:
    """The only column of a table with a usual target name; empty if there are none or several."""
    usual = [name for name in names if name.casefold() in TABLE_TARGET_NAMES]
    return usual[0] if len(usual) == 1 else ""


def infer_inputs(columns: Columns, target: str) -> tuple[str, ...]:
    """The inputs: images, else sounds, texts or sequences, unless a table has more to learn from; else all of a table.

    Content decides; a usual name only selects among columns of one kind.
    """
    if len(columns) == 1:
        return (target,)
    free = {name: column for name, column in columns.items() if name != target}
    tabular = tuple(name for name, column in free.items() if column.is_tabular)
    whole = {name: column for name, column in free.items() if not column.is_tabular}
    whole = {name: column for name, column in whole.items() if column.kind != "text" or not _is_note(column, tabular)}
    for name in INPUT_NAMES:
        if name in whole:
            return (name,)
    for kind in ("image", "audio", "text", "number"):
        names = [name for name, column in whole.items() if column.kind == kind]
        if len(names) == 1 or (names and kind == "image"):
            return (names[0],)
    if not tabular:
        raise UsageError(f"cannot infer the input columns; set data.inputs to some of: {_with_kinds(columns)}")
    return tabular


def _is_note(column: Column, tabular: tuple[str, ...]) -> bool:
    """Whether a text is a short note beside a table, and not the input."""
    length = column.ragged.shapes[:, 0].mean()
    return bool(tabular) and length < (MAX_NOTE_BYTES if len(tabular) > 1 else MIN_TEXT_LETTERS)


def inputs_remark(columns: Columns, inputs: Sequence[str], target: str) -> str:
    """Which inputs were inferred, which columns are not used, and how to change that; empty for a text alone."""
    if tuple(inputs) == (target,):
        return ""
    first = ", ".join(inputs[:MAX_LISTED]) + (
        f" and {len(inputs) - MAX_LISTED:,} more" if len(inputs) > MAX_LISTED else ""
    )
    unused = {name: column for name, column in columns.items() if name not in (*inputs, target)}
    rest = f" Not used: {_with_kinds(unused)};" if unused else ""
    return f"Inputs: {first}{'.' if unused else ';'}{rest} data.inputs sets others."


def _with_kinds(columns: Columns) -> str:
    return ", ".join(f"{name} ({column.kind})" for name, column in columns.items())


def is_free_text(name: str, texts: pa.ChunkedArray) -> bool:
    """Whether texts are free text, not class names: most are distinct, and long or of several words."""
    import pyarrow.compute as pc

    present = texts.drop_null()
    distinct = pc.count_distinct(present).as_py()
    if distinct <= MAX_DISTINCT_CLASSES:
        return False
    if re.sub(r"\W", "", name).casefold() in TEXT_NAMES:
        return True
    letters = pc.mean(pc.utf8_length(present)).as_py()
    words = 1 + pc.mean(pc.count_substring(present, " ")).as_py()
    return distinct > len(present) / 2 and (letters >= MIN_TEXT_LETTERS or words >= MIN_TEXT_WORDS)


def why_unusable(name: str, array: pa.ChunkedArray, column: Column | None) -> str:
    """Why a column of a table is not an input: constant, unsupported or an identifier; empty if it is usable."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(array.type):
        return "their values are constant"
    if column is None:
        return f"type {array.type} is not supported"
    if column.kind not in ("number", "class", "text", "date") or array.type.num_fields:
        return ""
    array = pc.cast(array, array.type.value_type) if pa.types.is_dictionary(array.type) else array
    distinct = pc.count_distinct(array).as_py()
    if distinct < 2 or (column.kind == "number" and not column.is_known().any()):
        return "their values are constant"
    present = len(array) - array.null_count
    if column.kind == "class" and distinct > MAX_DISTINCT_CLASSES and distinct > present / 2:
        return f"nearly all values are distinct ({distinct:,} in {len(array):,} rows)"
    if column.kind == "text" and pc.all(pc.match_substring_regex(array, _HASH)).as_py():
        return "their values are hashes"
    if column.kind in ("number", "text") and _is_identifier(name, column, distinct, present):
        return f"{distinct:,} of {present:,} values are distinct, like identifiers or row numbers"
    return ""


def _is_identifier(name: str, column: Column, distinct: int, present: int) -> bool:
    """Whether a column numbers the rows: all values differ, and are consecutive or have a name of identifiers.

    Fractions are measurements. A column without a name of its own, as pandas saves an index, may have repeated values.
    """
    if column.kind == "text":
        return distinct == present and bool(_ID_NAME.search(name))
    values = column.array[column.is_known()] if column.is_scalar else np.array([0.5])
    if not np.all(values % 1 == 0):
        return False
    if _UNNAMED.search(name):
        return distinct > present / 2
    if distinct < present:
        return False
    in_order = bool(np.all(np.diff(values) == 1))
    is_run = (in_order or present >= MIN_RUN) and values.min() in (0, 1) and values.max() - values.min() == present - 1
    return (is_run and present == len(column)) or bool(_ID_NAME.search(name))


def identifiers(columns: Columns, named: Sequence[str]) -> list[str]:
    """The columns of one integer per row that number the rows; none if no other input would remain beside `named`."""
    names = []
    for name, column in columns.items():
        if name in named or column.kind != "number" or not column.is_scalar:
            continue
        known = column.array[column.is_known()]
        if len(known) and _is_identifier(name, column, len(np.unique(known)), len(known)):
            names.append(name)
    return names if set(columns) - {*names, *named} else []


def repeated_identifier(name: str, column: Column) -> bool:
    """Whether an integer column has the name of an identifier, but values that repeat, such as a patient's."""
    return (
        column.kind == "number"
        and column.is_scalar
        and bool(_REPEATED_ID_NAME.search(name))
        and bool(np.all(column.array[column.is_known()] % 1 == 0))
    )


def with_target(columns: Columns, target: str, task: Task = "auto") -> tuple[dict[str, Column], str]:
    """The columns with the target as classes (kind class) or numbers (float), and a remark on how it was inferred.

    Texts and booleans are classes. So are integers of at most MAX_INTEGER_CLASSES distinct values with
    MIN_ROWS_PER_CLASS rows each, and integer arrays of 0 … k−1 with as many rows each. All other values are numbers.
    Raises UsageError for a column that does not fit `task`.
    """
    column = columns[target]
    if column.kind in ("class", "number") and column.is_array and not column.is_known().any():
        raise UsageError(f"column {target!r} has no values; choose another target")
    if column.kind == "class":
        result, remark = _from_classes(target, column, task)
    elif column.kind == "number" and column.is_array:
        result, remark = _from_numbers(target, column, task)
    else:
        raise UsageError(f"column {target!r} has kind {column.kind}; choose a target of numbers or classes")
    return {**columns, target: result}, f"Target {target}: {remark}"


def _from_classes(name: str, column: Column, task: Task) -> tuple[Column, str]:
    if task != "numbers":
        return column, f"{len(column.names):,} classes{_examples(column.names)}."
    try:
        numbers = np.array([*map(float, column.names), np.nan])
    except ValueError as error:
        raise UsageError(
            f"column {name!r} has values that are not numbers ({str(error)[:80]}); set task=classes, or choose another "
            "target"
        ) from None
    return Column(numbers[column.array], "number"), "numbers, as set by task=numbers."


def _from_numbers(name: str, column: Column, task: Task) -> tuple[Column, str]:
    values = column.array
    if values.ndim > 1:
        if task == "classes" or values.ndim > 2:
            raise UsageError(f"targets {name!r} have shape {values.shape}; classes need [N], numbers [N] or [N, K]")
        return _as_floats(column), f"{values.shape[1]} numbers per row."
    distinct = np.unique(values[~np.isnan(values)])
    # −1 beside 0 … k−1, k ≥ 3, marks missing labels; but −1, 0 and 1 are three classes.
    marked = distinct.dtype.kind == "i" and len(distinct) > 3 and distinct[0] == -1 and _is_range(distinct[1:])
    distinct = distinct[distinct >= 0] if marked else distinct
    enough = MIN_ROWS_PER_CLASS * len(distinct) <= len(values)
    integers = bool(np.all(distinct % 1 == 0))
    few = integers and len(distinct) <= MAX_INTEGER_CLASSES and enough
    labels = values.dtype.kind in "iu" and _is_range(distinct) and enough
    if task == "classes" or (task == "auto" and (few or labels)):
        names = tuple(str(int(number)) if integers else f"{number:.12g}" for number in distinct)
        if len(set(names)) < len(names):
            raise UsageError(f"column {name!r} has {len(names):,} distinct numbers; set task=numbers")
        remark = f"{len(names):,} classes{_examples(names)}; set task=numbers to predict numbers instead."
        remark += " −1 is treated as missing." if marked else ""
        index = np.minimum(np.searchsorted(distinct, values), len(distinct) - 1)
        return Column(np.where(distinct[index] == values, index, -1).astype(np.int32), "class", names), remark
    remark = f"numbers ({len(distinct):,} distinct values)"
    return _as_floats(column), remark + ("; set task=classes to predict classes instead." if task == "auto" else ".")


def _as_floats(column: Column) -> Column:
    return column if column.array.dtype.kind == "f" else dataclasses.replace(column, values=column.array.astype(float))


def _is_range(distinct: np.ndarray) -> bool:
    """Whether the values are 0 … k−1."""
    return bool(len(distinct)) and np.array_equal(distinct, np.arange(len(distinct)))


def _examples(names: Sequence[str]) -> str:
    return f" ({', '.join(name[:30] for name in names[:4])}{' …' if len(names) > 4 else ''})"
