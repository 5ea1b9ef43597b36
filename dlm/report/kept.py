"""forecast.json in its folder: read with its stamp, and written without losing one that came before."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from dlm.curves.results import Answer
from dlm.errors import UsageError
from dlm.files import write_atomically
from dlm.report.stamp import checked, moment
from dlm.report.tables import from_json, to_json

FORECAST = "forecast.json"
FORMER = "forecasts"
MAX_BYTES = 256 << 20
_MOST_SAID = 300  # characters of what a file holds that are shown


def keep(told: Answer, folder: Path) -> Answer:
    """Write a stamped forecast; what stands in forecast.json then.

    The very same forecast keeps its first stamp. One made of other measurements is kept in `forecasts/`, named after
    its time, so that it can be scored when what it foretold is measured.
    """
    told = from_json(to_json(told))
    path = folder / FORECAST
    former = None
    with contextlib.suppress(UsageError):
        former = read_stamped(path)
    if former is not None and former.stamp is not None and told.stamp is not None:
        unchanged = dataclasses.replace(former, stamp=None) == dataclasses.replace(told, stamp=None)
        if unchanged and former.stamp.seen == told.stamp.seen:
            return former
        if former.stamp.inputs != told.stamp.inputs:
            (folder / FORMER).mkdir(exist_ok=True)
            name = moment(former.stamp).strftime("%Y-%m-%dT%H-%M-%S.json")
            write_atomically(folder / FORMER / name, to_json(former))
    write_atomically(path, to_json(told))
    return told


def read_stamped(path: Path) -> Answer:
    """A forecast whose stamp fits. UsageError says what is wrong with the file, and what to do."""
    try:
        if path.is_dir():
            path = path / FORECAST
        if path.exists() and not path.is_file():
            raise ValueError("is no plain file; name a forecast.json")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"is longer than {MAX_BYTES >> 20} MB; name a forecast.json")
        answer = from_json(data.decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; name the forecast.json of an earlier forecast") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a forecast.json that can") from None
    except ValueError as error:
        raise UsageError(f"{path} is no forecast: {str(error)[:_MOST_SAID]}") from None
    try:
        checked(answer)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{path} {str(error)[:_MOST_SAID]}") from None
    return answer
