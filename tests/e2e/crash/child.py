"""One life of a run: launch.py in this process, told from outside when to die.

    CRASH=save:2:0.05:9 CRASH_LOG=events.jsonl python tests/e2e/crash/child.py --experiment=digits --workdir=DIR

CRASH is phase:occurrence:at:signal; empty for a life that nobody ends. The signal is sent `at` seconds after that entry
of the phase. Where a moment is meant and no span, `at` is a share: of the bytes written in `append`; below 0.7 before
a `rename`, else after it. What happens is told to CRASH_LOG, one JSON line an event. The product has no part in this:
its functions are wrapped as their modules are imported.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import importlib.abc
import importlib.util
import json
import os
import runpy
import shutil
import signal
import sys
import threading
import time
import weakref
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NEVER = "::0:0"
write = os.write  # as it is before it is wrapped


class Life:
    """What is told of this process, and the one moment at which it sends itself a signal."""

    def __init__(self, aim: str, log: str, workdir: str) -> None:
        phase, occurrence, at, number = aim.split(":")
        self.aim, self.at, self.number = (phase, int(occurrence or 0)), float(at), int(number)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.workdir = os.path.realpath(workdir)
        self.entries: collections.Counter[str] = collections.Counter()
        self.lock = threading.Lock()
        self.in_training = False

    def tell(self, event: str, **facts: object) -> None:
        """Append an event to the log."""
        write(self.log, (json.dumps({"event": event, "at": time.monotonic(), **facts}) + "\n").encode())

    def enters(self, phase: str) -> bool:
        """Count an entry of a phase; whether it is the one aimed at."""
        with self.lock:
            self.entries[phase] += 1
            return (phase, self.entries[phase]) == self.aim

    def fire(self) -> None:
        """Send the signal now."""
        self.tell("fired")
        os.kill(os.getpid(), self.number)

    def fire_later(self) -> None:
        """Send the signal `at` seconds from now, whatever goes on then."""

        def wait() -> None:
            time.sleep(self.at)
            self.fire()

        threading.Thread(target=wait, daemon=True).start()

    @contextlib.contextmanager
    def phase(self, name: str):
        """A phase with a span."""
        if self.enters(name):
            self.fire_later()
        start = time.monotonic()
        try:
            yield
        finally:
            self.tell("phase", name=name, seconds=time.monotonic() - start)

    def moment(self, name: str) -> bool:
        """A phase that is a moment: told, and whether it is the one aimed at."""
        self.tell("phase", name=name, seconds=1.0)  # `at` is a share of it
        return self.enters(name)

    def owns(self, path: object) -> bool:
        """Whether a path lies in the workdir."""
        try:
            return os.path.realpath(os.fspath(path)).startswith(self.workdir + os.sep)  # type: ignore[call-overload]
        except TypeError:  # a file's number
            return False


def wrap(life: Life, owner: object, name: str, phase: str) -> None:
    """Make a function of a module or class a phase."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with life.phase(phase):
            return function(*args, **kwargs)

    setattr(owner, name, wrapped)


def wrap_population(life: Life, module) -> None:
    """`compile`, where there is something to compile; and how far a chunk of updates would go."""
    compile_, advance, seen = module.Population.compile, module.Population.advance, set()

    def compiled(self, name, *arguments):
        import jax

        key = id(self), name, jax.tree.leaves(arguments[0])[0].shape[0]
        if key in seen:
            return compile_(self, name, *arguments)
        with life.phase("compile"):
            program = compile_(self, name, *arguments)
        seen.add(key)
        return program

    def advanced(self, members, states, data, steps, window):
        if life.in_training:
            life.tell("chunk", asked=[int(count) for count in steps], every=self.config.eval_every)
        return advance(self, members, states, data, steps, window)

    module.Population.compile, module.Population.advance = compiled, advanced


def wrap_cohort_run(life: Life, module) -> None:
    """`step` and `evaluate`, and the updates of every member; a run that only measures speed restores nothing."""
    run, training = module.CohortRun, weakref.WeakSet()
    advance, restore = run.advance, run.restore
    wrap(life, run, "measure", "evaluate")

    def tell(event, self):
        rows = [(trial.trial_id if trial else "", trial.num_steps if trial else 0) for trial in self.rows]
        life.tell(event, rows=rows, steps=[int(step) for step in self.steps()])

    def advanced(self, steps):
        life.in_training = self in training
        if life.in_training:
            tell("advance", self)
        with life.phase("step"):
            result = advance(self, steps)
        if life.in_training:
            tell("advanced", self)
        return result

    def restored(self, *args):
        restore(self, *args)
        training.add(self)
        tell("restored", self)

    run.advance, run.restore = advanced, restored


def wrap_checkpoints(life: Life, module) -> None:
    """`save`, the part that training waits for; orbax goes on behind it, which the aim reaches by its seconds."""
    save = module.Checkpoints.save

    def saved(self, updates, *args, **kwargs):
        life.tell("saved", updates=int(updates))
        with life.phase("save"):
            return save(self, updates, *args, **kwargs)

    module.Checkpoints.save = saved


def wrap_records(life: Life, module) -> None:
    """`append`: a part of the bytes is written, then comes the signal."""
    append, armed = module.append, []

    def appended(workdir, rows):
        if life.moment("append"):
            armed.append(os.stat(workdir / module.FILE).st_ino if (workdir / module.FILE).exists() else None)
        try:
            return append(workdir, rows)
        finally:
            armed.clear()

    def written(handle, data):
        if not armed or handle <= 2 or armed[0] not in (None, os.fstat(handle).st_ino):
            return write(handle, data)
        armed.clear()
        count = write(handle, data[: int(life.at * len(data))])
        life.fire()
        return count

    module.append, os.write = appended, written


def wrap_session(life: Life, module, started: float) -> None:
    """`fit`; and the end of `import`, which began with this process."""
    wrap(life, module, "fit_and_evaluate", "fit")
    life.tell("phase", name="import", seconds=time.monotonic() - started)


def wrap_files(life: Life) -> None:
    """`rename`, `delete` and `lock` (a file that only one may make is there, and still empty), in the workdir."""

    def renaming(function):
        @functools.wraps(function)
        def renamed(source, target, **kwargs):
            aimed = life.owns(target) and life.moment("rename")
            if aimed and life.at < 0.7:
                life.fire()
            result = function(source, target, **kwargs)
            if aimed and life.at >= 0.7:
                life.fire()
            return result

        return renamed

    def opened(path, flags, *args, **kwargs):
        handle = open_(path, flags, *args, **kwargs)
        makes = flags & os.O_CREAT and flags & os.O_EXCL and life.owns(path)
        if makes and life.moment("lock"):
            life.fire()
        return handle

    @functools.wraps(shutil.rmtree)
    def deleted(path, *args, **kwargs):
        with life.phase("delete") if life.owns(path) else contextlib.nullcontext():
            return rmtree(path, *args, **kwargs)

    open_, rmtree = os.open, shutil.rmtree
    os.rename, os.replace, os.open, shutil.rmtree = renaming(os.rename), renaming(os.replace), opened, deleted


def wrap_signals(life: Life) -> None:
    """Tell when SIGTERM gets a handler and when it loses it."""
    real = signal.signal

    def told(number, handler):
        before = real(number, handler)
        if number == signal.SIGTERM:
            life.tell("armed" if callable(handler) else "disarmed")
        return before

    signal.signal = told


class AfterImport(importlib.abc.MetaPathFinder):
    """Runs a patch on each named module right after it was imported, whoever imports it and when."""

    def __init__(self, patches: dict) -> None:
        self.patches = patches

    def find_spec(self, name, path=None, target=None):
        """The spec that others find, with the patch after its execution."""
        if name not in self.patches:
            return None
        patch = self.patches.pop(name)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module
        return spec


def main() -> None:
    """Wrap the product's functions and run launch.py as `python launch.py` would."""
    started = time.monotonic()
    flag = "--workdir="
    workdir = next(argument.removeprefix(flag) for argument in sys.argv if argument.startswith(flag))
    life = Life(os.environ.get("CRASH") or NEVER, os.environ["CRASH_LOG"], workdir)
    life.tell("started")
    wrap_files(life)
    wrap_signals(life)
    patches = {
        "dlm.data.sources.bundled": lambda module: wrap(life, module.Digits, "load", "data"),
        "dlm.train.population": lambda module: wrap_population(life, module),
        "dlm.train.trainer": lambda module: wrap_cohort_run(life, module),
        "dlm.train.checkpoint": lambda module: wrap_checkpoints(life, module),
        "dlm.storage.record_log": lambda module: wrap_records(life, module),
        "dlm.execution.trial_runner": lambda module: wrap_session(life, module, started),
        "dlm.report.study_report": lambda module: wrap(life, module, "report", "report"),
    }
    sys.meta_path.insert(0, AfterImport(patches))
    if life.enters("import"):
        life.fire_later()
    sys.path[0] = str(ROOT)
    sys.argv[0] = str(ROOT / "launch.py")
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
