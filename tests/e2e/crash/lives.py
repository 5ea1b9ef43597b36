"""Lives of one study: start one, let a signal end it, read what it told, hold its end against an unbroken run's."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlm.storage import record_log

ROOT = Path(__file__).resolve().parents[3]
STUDY = [
    "--experiment=digits",
    "--train_sizes=32,128,512",
    "--seeds=2",
    "--set=budget.eval_every=40",
    "--set=budget.epochs=40",
    "--set=budget.min_steps=100",
    "--set=learners.mlp.model.widths=256,256",
    "--save_seconds=0.3",
]
TIMEOUT = 300.0
TIMES = ("seconds", "inference_seconds", "joules")  # of a row, which no two runs share


@dataclasses.dataclass(frozen=True)
class Aim:
    """A signal at the `occurrence`-th entry of a phase, `at` seconds (or shares) on; with no phase, `at` from birth."""

    number: int
    at: float
    phase: str = ""
    occurrence: int = 0

    @property
    def text(self) -> str:
        """As child.py takes it; what is sent from outside is none of its business."""
        return f"{self.phase}:{self.occurrence}:{self.at}:{self.number}" if self.phase else ""


@dataclasses.dataclass(frozen=True)
class Life:
    """How one process ended: exit code, what it printed, what it told, and when (monotonic seconds)."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]]
    began: float
    ended: float
    signalled: float | None

    @property
    def seconds(self) -> float:
        """From birth to end."""
        return self.ended - self.began

    def spans(self) -> dict[str, list[float]]:
        """Seconds of every entry of each phase, in their order."""
        out: dict[str, list[float]] = collections.defaultdict(list)
        renames = [event["at"] for event in self.events if event.get("name") == "rename"]
        for event in self.events:
            if event["event"] == "phase":
                seconds = event["seconds"]
                if event["name"] == "save":  # orbax goes on in the background until it renames what it wrote
                    start = event["at"] - seconds
                    seconds = min((at - start for at in renames if at > start), default=seconds)
                out[event["name"]].append(seconds)
        return dict(out)

    def handlers(self) -> str:
        """Whether a handler stood when the signal came: "armed", "disarmed" again, or "" for not yet."""
        assert self.signalled is not None
        told = [e["event"] for e in self.events if e["event"].endswith("armed") and e["at"] <= self.signalled]
        return told[-1] if told else ""


def live(workdir: Path, aim: Aim | None = None, cache: Path | None = None) -> Life:
    """Start the study's command once and wait for its end, which `aim` may bring about."""
    log = workdir.with_suffix(".events")
    log.unlink(missing_ok=True)
    environment = {**os.environ, "CRASH": aim.text if aim else "", "CRASH_LOG": str(log)}
    if cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    command = [sys.executable, str(Path(__file__).with_name("child.py")), *STUDY, f"--workdir={workdir}"]
    began, signalled = time.monotonic(), None
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    try:
        out = err = None
        if aim and not aim.phase:
            with contextlib.suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=aim.at)
            if out is None:
                signalled = time.monotonic()
                process.send_signal(aim.number)
        if out is None:
            out, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    ended, events = time.monotonic(), _events(log)
    fired = [event["at"] for event in events if event["event"] == "fired"]
    return Life(process.returncode, out, err, events, began, ended, fired[0] if fired else signalled)


def _events(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines() if log.exists() else []  # killed before its first line
    log.unlink(missing_ok=True)
    events = []
    for line in lines:
        with contextlib.suppress(ValueError):
            events.append(json.loads(line))
    return events


class Repeats:
    """Updates that a later life made again, by the life that had made them."""

    def __init__(self) -> None:
        self.by_life: collections.Counter[int] = collections.Counter()
        self._reached: dict[str, tuple[int, int]] = {}  # trial -> updates, and the life that applied them

    def follow(self, number: int, life: Life) -> None:
        """Read a life's events. A chunk of updates that it did not live to finish counts as if made whole."""
        rows: list[tuple[str, int]] = []
        steps: list[int] = []
        for event in life.events:
            if event["event"] in ("restored", "advance", "advanced"):
                rows, steps = event["rows"], event["steps"]
                if event["event"] == "restored":
                    self._restored(dict(zip((trial for trial, _ in rows), steps)))
                self._stand(number, rows, steps)
            elif event["event"] == "chunk" and len(event["asked"]) == len(rows):
                self._stand(number, rows, _until(event, rows, steps))

    def _restored(self, steps: dict[str, int]) -> None:
        for trial, step in steps.items():
            before, whose = self._reached.get(trial, (0, -1))
            self.by_life[whose] += max(0, before - step)

    def _stand(self, number: int, rows: Sequence[tuple[str, int]], steps: Sequence[int]) -> None:
        self._reached |= {trial: (step, number) for (trial, _), step in zip(rows, steps) if trial}


def _until(chunk: dict[str, Any], rows: Sequence[tuple[str, int]], steps: Sequence[int]) -> list[int]:
    """Updates each member would stand at after a chunk: as asked, but no further than its end or next validation."""
    out = []
    for (_, limit), step, asked in zip(rows, steps, chunk["asked"]):
        validation = (step // chunk["every"] + 1) * chunk["every"] if chunk["every"] else limit
        out.append(min(step + asked, limit, validation))
    return out


def intervals(life: Life) -> list[int]:
    """Updates of all members between one checkpoint and the next."""
    return [event["updates"] for event in life.events if event["event"] == "saved"]


def without_times(out: str) -> str:
    """What a run prints as its answer, up to what it cost and where it lies."""
    return re.split("\n(?:Cost at the largest size|Written:)", out)[0]


@dataclasses.dataclass(frozen=True)
class End:
    """What a finished study holds and printed."""

    rows: dict[tuple, dict[str, Any]]
    ends: dict[str, float | None]
    written: collections.Counter[str]  # lines in the file that end a trial
    answer: str

    @classmethod
    def of(cls, workdir: Path, out: str) -> End:
        """Read the workdir; `out` is what the last life printed."""
        held = record_log.rows(workdir)
        rows = {row.key: {k: v for k, v in dataclasses.asdict(row).items() if k not in TIMES} for row in held}
        ends = {trial: row.value for trial, row in record_log.ends(held).items()}
        return cls(rows, ends, _endings(workdir), without_times(out))

    def faults(self, unbroken: End) -> dict[str, int]:
        """How many cells were lost or doubled, rows that differ (but for times), and whether the answer does."""
        lost = unbroken.ends.keys() - self.ends.keys()
        foreign = self.ends.keys() - unbroken.ends.keys()
        keys = {key for key in self.rows.keys() | unbroken.rows.keys() if key[0] not in lost}
        return {
            "lost": len(lost),
            "doubled": len(foreign) + sum(self.written[trial] != 1 for trial in self.ends),
            "differ": sum(self.rows.get(key) != unbroken.rows.get(key) for key in keys),
            "answers": int(self.answer != unbroken.answer),
        }


def _endings(workdir: Path) -> collections.Counter[str]:
    """Lines of records.jsonl that end a trial, by trial; read as they stand, without records.rows' eye for doubles."""
    count: collections.Counter[str] = collections.Counter()
    for line in (workdir / record_log.FILE).read_bytes().splitlines():
        found = re.search(rb"\{.*\}", line)
        with contextlib.suppress(ValueError):
            row = json.loads(found[0]) if found else {}
            if (row.get("split"), row.get("metric")) == ("test", "error") and row.get("status") != "running":
                count[row["trial_id"]] += 1
    return count


def expected_code(number: int) -> int:
    """The exit code that a signal asks for."""
    return {signal.SIGTERM: 75, signal.SIGUSR1: 75, signal.SIGINT: 130}[signal.Signals(number)]
