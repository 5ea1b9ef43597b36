"""Whatever ends a run, the same command finishes the study with the numbers of an unbroken one: shown many times over.

    python -m tests.e2e.crash.harness --kills=200
    python -m tests.e2e.crash.harness --signals=60 --out=signals.json

A study of two cohorts and logistic regression is run once unbroken. Then again and again it is begun afresh, ended
one to four times in phases drawn so that each gets its share, and at last left alone; its records and its printed
answer are held against the unbroken ones. One study in ten begins with no compiled programs in the cache.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import math
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.crash.lives import Aim, End, Life, Repeats, expected_code, intervals, live

MOST_IN_A_STUDY = 4
SIGNALS = (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR1, signal.SIGINT)  # as they are drawn
COLD = 10  # one study in so many begins without compiled programs
KEPT_OF_ERRORS = 400  # characters


@dataclasses.dataclass
class Tally:
    """What was found: every signal sent with what came of it, and faults of studies by their kind."""

    sent: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    notes: list[str] = dataclasses.field(default_factory=list)
    studies: int = 0
    lives: int = 0
    cells: int = 0
    rows: int = 0

    def note(self, kind: str, what: str, count: int = 1) -> None:
        """Count a fault and say where."""
        self.faults[kind] += count
        self.notes.append(f"{kind}: {what}")


class Harness:
    """Studies in a folder, an unbroken one and many that are broken."""

    def __init__(self, folder: Path, seed: int = 0, *, warm: bool = True, minutes: float = math.inf) -> None:
        """Run the study unbroken; `warm`: once before, so that phases are timed with all programs compiled.

        After so many minutes no further study is begun.
        """
        self.until = time.monotonic() + 60 * minutes
        self.folder, self.rng, self.tally = folder, random.Random(seed), Tally()
        self.tries: collections.Counter[str] = collections.Counter()
        if warm:
            self._unbroken("warm")
        self.life, self.end = self._unbroken("unbroken")
        self.spans = self.life.spans()

    def _unbroken(self, name: str) -> tuple[Life, End]:
        life = live(self.folder / name)
        if life.code:
            raise RuntimeError(f"the unbroken study ended with {life.code}: {life.err}")
        return life, End.of(self.folder / name, life.out)

    def kill(self, total: int) -> Tally:
        """Break studies by SIGKILL until so many kills have happened."""
        while len(self.tally.sent) < total and time.monotonic() < self.until:
            most = min(total - len(self.tally.sent), self.rng.randint(1, MOST_IN_A_STUDY))
            self.broken(self.aimed(number, signal.SIGKILL) for number in range(1, most + 1))
            self._say(total)
        return self.tally

    def signal(self, total: int) -> Tally:
        """Stop studies by signals that are handled, half of them aimed at phases, half at any time of a life."""
        while len(self.tally.sent) < total and time.monotonic() < self.until:
            most = min(total - len(self.tally.sent), self.rng.randint(1, MOST_IN_A_STUDY))
            self.broken(self.any_signal(number) for number in range(1, most + 1))
            self._say(total)
        return self.tally

    def aimed(self, life: int, number: int) -> Aim:
        """A signal at a moment of a phase that had the fewest yet; later lives have less ahead of them."""
        fewest = min(self.tries[phase] for phase in self.spans)
        phase = self.rng.choice([phase for phase in sorted(self.spans) if self.tries[phase] == fewest])
        self.tries[phase] += 1
        spans = self.spans[phase]
        occurrence = self.rng.randint(1, max(1, len(spans) // life))
        return Aim(number, self.rng.random() * spans[occurrence - 1], phase, occurrence)

    def any_signal(self, life: int) -> Aim:
        """SIGTERM, SIGUSR1 or now and then SIGINT, in a phase or at any time."""
        number = self.rng.choice(SIGNALS)
        if self.rng.random() < 0.5:
            return self.aimed(life, number)
        return Aim(number, self.rng.random() * self.life.seconds)

    def broken(self, aims: Iterator[Aim]) -> None:
        """One study from nothing, ended by each aim in turn, then left to finish; what it ends with is judged."""
        self.tally.studies += 1
        name = f"study-{self.tally.studies}"
        workdir, faults = self.folder / name, sum(self.tally.faults.values())
        cache = self.folder / f"{name}-cache" if self.tally.studies % COLD == 0 else None
        repeats, sent = Repeats(), {}
        for number in range(MOST_IN_A_STUDY + 1):
            aim = next(aims, None)
            life = live(workdir, aim, cache)
            self.tally.lives += 1
            repeats.follow(number, life)
            if aim and life.signalled is not None:
                sent[number] = self._judge_life(f"{name} life {number + 1}", aim, life)
            if life.code == 0:
                self._judge_end(name, End.of(workdir, life.out))
                break
            if aim is None or life.signalled is None:
                self.tally.note("unfinished", f"{name} ended with {life.code}: {life.err[-KEPT_OF_ERRORS:]}")
                break
        for number, facts in sent.items():
            facts["repeated"] = repeats.by_life[number]
            if facts["handled"] and facts["repeated"]:
                self.tally.note("repeated", f"{name} life {number + 1}: {facts}")
        if sum(self.tally.faults.values()) == faults:
            shutil.rmtree(workdir)
        if cache:
            shutil.rmtree(cache, ignore_errors=True)

    def _judge_life(self, where: str, aim: Aim, life: Life) -> dict[str, Any]:
        """Note what a signal brought about, and what of it should not have been."""
        assert life.signalled is not None
        early = not life.handlers()
        facts = {
            "phase": aim.phase or "any time",
            "occurrence": aim.occurrence,
            "at": round(aim.at, 4),
            "signal": signal.Signals(aim.number).name,
            "code": life.code,
            "seconds": round(life.ended - life.signalled, 3),
            "early": early,
            "handled": life.code in (75, 130),
        }
        self.tally.sent.append(facts)
        if aim.number == signal.SIGKILL:
            good = life.code == -signal.SIGKILL
        else:
            # Before the program's first lines nothing can stand between a signal and what the system does with it.
            good = life.code in (expected_code(aim.number), 0) or (early and life.code == -aim.number)
            if "Traceback" in life.err and not (early and life.code == -aim.number):
                self.tally.note("tracebacks", f"{where}: {facts} {life.err[-KEPT_OF_ERRORS:]}")
        if not good:
            self.tally.note("exit codes", f"{where}: {facts} {life.err[-KEPT_OF_ERRORS:]}")
        return facts

    def _judge_end(self, name: str, end: End) -> None:
        self.tally.cells += len(self.end.ends)
        self.tally.rows += len(self.end.rows)
        for kind, count in end.faults(self.end).items():
            if count:
                self.tally.note(kind, f"{name}: {count}", count)

    def _say(self, total: int) -> None:
        tally = self.tally
        print(f"{len(tally.sent)} of {total}, {tally.studies} studies, faults {dict(tally.faults)}", file=sys.stderr)


def table(harness: Harness) -> str:
    """What was found, for people."""
    tally, groups = harness.tally, collections.defaultdict(list)
    for facts in tally.sent:
        groups[facts["phase"]].append(facts)
    lines = ["phase      sent  updates repeated: median, max   seconds to exit: median, max"]
    for phase, group in [*sorted(groups.items()), ("all", tally.sent)]:
        repeated = [facts["repeated"] for facts in group]
        seconds = [facts["seconds"] for facts in group if not facts["early"]] or [0.0]
        lines.append(
            f"{phase:10} {len(group):4}  {statistics.median(repeated):17g} {max(repeated):9}"
            f"   {statistics.median(seconds):22.2f} {max(seconds):6.2f}"
        )
    saved = intervals(harness.life)
    codes = collections.Counter((facts["signal"], facts["code"]) for facts in tally.sent)
    lines += [
        "",
        f"{tally.studies} studies, {tally.lives} lives; an unbroken one takes {harness.life.seconds:.1f} s",
        f"updates between two checkpoints of the unbroken run: median {statistics.median(saved):g}, max {max(saved)}",
        "exit codes: " + ", ".join(f"{name} {code} ×{count}" for (name, code), count in sorted(codes.items())),
        f"before any handler stood: {sum(facts['early'] for facts in tally.sent)}",
        f"cells lost {tally.faults['lost']} and doubled {tally.faults['doubled']} of {tally.cells}, "
        f"numbers that differ {tally.faults['differ']} of {tally.rows}, "
        f"answers that differ {tally.faults['answers']} and unfinished {tally.faults['unfinished']} of {tally.studies}",
        f"wrong exit codes {tally.faults['exit codes']}, tracebacks {tally.faults['tracebacks']}, "
        f"updates repeated after a handled signal {tally.faults['repeated']}",
        *tally.notes,
    ]
    return "\n".join(lines)


def main() -> int:
    """Run what the flags ask for and print what was found; 1 if there was any fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs to send")
    parser.add_argument("--signals", type=int, default=0, help="SIGTERM, SIGUSR1 and SIGINT to send")
    parser.add_argument("--minutes", type=float, default=math.inf, help="for each of the two at most, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file for everything that was found")
    flags = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # What a shell runs in the background ignores Ctrl-C, and its children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
    found, faults = {}, 0
    for name, total in (("kill", flags.kills), ("signal", flags.signals)):
        if total:
            (folder / name).mkdir()
            harness = Harness(folder / name, flags.seed, minutes=flags.minutes)
            tally = getattr(harness, name)(total)
            found[name] = vars(tally) | {"checkpoint_updates": intervals(harness.life)}
            faults += sum(tally.faults.values())
            print(table(harness), flush=True)
    if flags.out:
        flags.out.write_text(json.dumps(found, indent=1) + "\n")
    if faults:
        print(f"what faulty studies left is in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
