"""The stamp of a forecast: made when, of what, and unchanged since.

It guards against accidents and afterthoughts, not against a forger, who could compute the hashes anew.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from dlm.curves.results import Answer, Curve, Grid, LearnerAnswer, Seen, Stamp
from dlm.report.tables import from_json, to_json

LARGEST = 10**18  # examples: more than any study's, and numbers up to here can be reckoned with


def stamped(answer: Answer, seen: Mapping[str, Iterable[int]], now: datetime.datetime | None = None) -> Answer:
    """The answer with its stamp. `seen`: the sizes measured by now, by learner, beside those the answer is made of."""
    now = now or datetime.datetime.now(datetime.UTC)
    curves = [learner.curve for learner in answer.learners]
    sizes = {curve.learner: {*curve.sizes, *seen.get(curve.learner, ())} for curve in curves}
    stamp = Stamp(
        made=now.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        largest=max((curve.sizes[-1] for curve in curves if curve.sizes), default=0),
        seen=tuple(Seen(name, tuple(sorted(known))) for name, known in sizes.items()),
        inputs=hash_of_inputs(curves),
        content="",
    )
    answer = dataclasses.replace(answer, stamp=stamp)
    return dataclasses.replace(answer, stamp=dataclasses.replace(stamp, content=_hash_of_content(answer)))


def hash_of_inputs(curves: Sequence[Curve]) -> str:
    """SHA-256 of the measured numbers, exact to the last bit."""
    rows = [
        [curve.learner, [*map(int, curve.sizes)], [[*map(float, e)] for e in curve.errors], [*map(float, curve.stderr)]]
        for curve in curves
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def checked(answer: Answer) -> Stamp:
    """The stamp, once it is seen to fit what it stands on; ValueError says what does not, and what to do."""
    stamp = answer.stamp
    if stamp is None:
        raise ValueError(
            "has no stamp: it was written before forecasts were stamped; forecast again, then measure more"
        )
    curves = [learner.curve for learner in answer.learners]
    if stamp.inputs != hash_of_inputs(curves):
        raise ValueError(
            "does not hold the measurements it was made of: their hash is another; use the file as written"
        )
    if stamp.content != _hash_of_content(answer):
        raise ValueError("was changed after it was made: the hash of its content is another; use the file as written")
    moment(stamp)
    if not 0 < answer.level < 1:
        raise ValueError(f"holds intervals at level {answer.level:g}, which is not inside (0, 1)")
    for learner in answer.learners:
        if not _sound(learner):
            raise ValueError(f"holds numbers of {learner.curve.learner!r} that are no curve with a forecast")
    return stamp


def moment(stamp: Stamp) -> datetime.datetime:
    """When the forecast was made; ValueError for what is no time with its zone."""
    made = datetime.datetime.fromisoformat(stamp.made)
    if made.tzinfo is None:
        raise ValueError(f"was made at {stamp.made!r}, which names no time zone; use the file as written")
    return made


def _hash_of_content(answer: Answer) -> str:
    assert answer.stamp is not None
    blank = dataclasses.replace(answer, stamp=dataclasses.replace(answer.stamp, content=""))
    # Read back first: a number means the same as 1 and as 1.0.
    told = json.loads(to_json(from_json(to_json(blank))))
    for pair in told["overtakes"]:
        if not pair["chances"]:
            del pair["chances"]  # files of before had none, and are to keep their hash
    return hashlib.sha256(json.dumps(told, indent=1).encode()).hexdigest()


def _sound(learner: LearnerAnswer) -> bool:
    """Whether sizes ascend, and errors are there, as many as there should be, none negative."""
    curve, grid = learner.curve, learner.grid
    if not curve.learner.isprintable() or max(curve.sizes, default=0) > LARGEST:
        return False
    whole = len(curve.sizes) == len(curve.errors) and len(curve.stderr) in (0, len(curve.sizes))
    measured = whole and _ascend((0, *curve.sizes)) and all(errors and min(errors) >= 0 for errors in curve.errors)
    return measured and (grid is None or _sound_grid(grid))


def _sound_grid(grid: Grid) -> bool:
    levels = [round(level, 9) for level in grid.levels]
    if not (grid.sizes and _ascend((0, *grid.sizes, LARGEST + 1)) and 0.5 in levels and _ascend((0, *levels, 1))):
        return False
    rows = [len(row) == len(grid.levels) and row[0] >= 0 and list(row) == sorted(row) for row in grid.errors]
    return len(levels) > 1 and len(rows) == len(grid.sizes) and all(rows) and math.isfinite(max(map(max, grid.errors)))


def _ascend(numbers: Sequence[float]) -> bool:
    return all(before < after for before, after in itertools.pairwise(numbers))
