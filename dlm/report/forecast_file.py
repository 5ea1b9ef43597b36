"""Reads and writes forecast.json: a study summary with a stamp that dates it and hashes its content."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dlm.curves.types import Curve, MeasuredSizes, Stamp, StudySummary
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

FORECAST = "forecast.json"
PREVIOUS = "forecasts"  # folder of forecasts made from earlier measurements
MAX_BYTES = 256 << 20
_MAX_MESSAGE = 300  # characters of an error message that quotes the file


def to_json(summary: StudySummary) -> str:
    """The text of forecast.json. ValueError for NaN and infinity: a number is finite or absent."""
    content = dataclasses.asdict(summary, dict_factory=_without_defaults)
    # `item` converts the scalars of NumPy.
    return json.dumps(content, indent=1, allow_nan=False, default=lambda number: number.item())


def _without_defaults(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a dataclass, without `hold_outs` of one hold-out and `warnings` without any, as in older files."""
    return {name: value for name, value in fields if (name, value) not in (("hold_outs", 1), ("warnings", ()))}


def from_json(text: str | bytes) -> StudySummary:
    """The summary in the text of forecast.json. ValueError names the field that is missing or of another type."""
    try:
        return msgspec.json.decode(text, type=StudySummary)
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None


def add_stamp(
    summary: StudySummary, measured: Mapping[str, Iterable[int]], now: datetime.datetime | None = None
) -> StudySummary:
    """The summary with its stamp. `measured`: by learner, measured sizes that the forecast does not use."""
    now = now or datetime.datetime.now(datetime.UTC)
    curves = [learner.curve for learner in summary.learners]
    train_sizes = {curve.learner: {*curve.train_sizes, *measured.get(curve.learner, ())} for curve in curves}
    stamp = Stamp(
        created=now.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        largest_train_size=max((curve.train_sizes[-1] for curve in curves if curve.train_sizes), default=0),
        measured=tuple(MeasuredSizes(name, tuple(sorted(sizes))) for name, sizes in train_sizes.items()),
        inputs_hash=hash_of_inputs(curves),
        content_hash="",
    )
    summary = dataclasses.replace(summary, stamp=stamp)
    return dataclasses.replace(summary, stamp=dataclasses.replace(stamp, content_hash=_hash_of_content(summary)))


def hash_of_inputs(curves: Sequence[Curve]) -> str:
    """SHA-256 of the measured numbers, exact to the last bit."""
    rows = []
    for curve in curves:
        errors = [[*map(float, own)] for own in curve.errors]
        rows.append([curve.learner, [*map(int, curve.train_sizes)], errors, [*map(float, curve.stderr)]])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def verify_stamp(summary: StudySummary) -> Stamp:
    """The stamp of an unchanged summary. ValueError states what does not match it."""
    stamp = summary.stamp
    if stamp is None:
        raise ValueError("has no stamp; make the forecast again, then measure larger sizes")
    if stamp.inputs_hash != hash_of_inputs([learner.curve for learner in summary.learners]):
        raise ValueError("has measurements that do not match the hash in its stamp; use the file as written")
    if stamp.content_hash != _hash_of_content(summary):
        raise ValueError("was changed after it was made: its content does not match its hash; use the file as written")
    time_made(stamp)
    return stamp


def time_made(stamp: Stamp) -> datetime.datetime:
    """When the forecast was made. ValueError for a time without a time zone."""
    made = datetime.datetime.fromisoformat(stamp.created)
    if made.tzinfo is None:
        raise ValueError(f"was made at {stamp.created!r}, which has no time zone; use the file as written")
    return made


def write_forecast(summary: StudySummary, folder: Path) -> StudySummary:
    """Write a stamped summary to forecast.json and return the file's content.

    An identical forecast keeps its first stamp. One made from other measurements moves to `forecasts/`, named after its
    time, so that it can still be scored.
    """
    summary = from_json(to_json(summary))
    path = folder / FORECAST
    previous = None
    with contextlib.suppress(UsageError):
        previous = read_forecast(path)
    if previous is not None and previous.stamp is not None and summary.stamp is not None:
        unchanged = dataclasses.replace(previous, stamp=None) == dataclasses.replace(summary, stamp=None)
        if unchanged and previous.stamp.measured == summary.stamp.measured:
            return previous
        if previous.stamp.inputs_hash != summary.stamp.inputs_hash:
            (folder / PREVIOUS).mkdir(exist_ok=True)
            name = time_made(previous.stamp).strftime("%Y-%m-%dT%H-%M-%S.json")
            write_atomically(folder / PREVIOUS / name, to_json(previous))
    write_atomically(path, to_json(summary))
    return summary


def read_forecast(path: Path) -> StudySummary:
    """A forecast with a valid stamp, from a file or the folder that holds forecast.json. UsageError otherwise."""
    try:
        if path.is_dir():
            path = path / FORECAST
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES >> 20} MiB")
        summary = from_json(data)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; name the forecast.json of an earlier forecast") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a readable forecast.json") from None
    except ValueError as error:
        raise UsageError(f"{path} is not a forecast ({str(error)[:_MAX_MESSAGE]}); name a forecast.json") from None
    try:
        verify_stamp(summary)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{path} {str(error)[:_MAX_MESSAGE]}") from None
    return summary


def _hash_of_content(summary: StudySummary) -> str:
    assert summary.stamp is not None
    blank = dataclasses.replace(summary, stamp=dataclasses.replace(summary.stamp, content_hash=""))
    # Decoding gives a float field one form, whether the file holds 1 or 1.0.
    return hashlib.sha256(to_json(from_json(to_json(blank))).encode()).hexdigest()
