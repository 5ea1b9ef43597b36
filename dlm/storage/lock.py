"""One living process in a workdir: a lock file that is renewed while held, and taken over when its holder is gone."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from dlm.study.config import check_fields
from dlm.utils.errors import UsageError

LOCK = "lock.json"
HEARTBEAT = 10.0  # seconds between renewals
GONE_AFTER = 120.0  # seconds of silence after which the holder on another host counts as gone
TRIES, PAUSE = 100, 0.02  # seconds: a takeover by someone else is waited for that long
_GUARD, _ALIVE, _LONGEST = ".takeover", "alive", 1 << 16
_OWN_NAME = "[0-9a-f]" * 32


@contextlib.contextmanager
def occupied(workdir: Path) -> Iterator[None]:
    """Make the folder if need be and hold it for this process.

    UsageError if it cannot be written, or another process holds it. The lock of a dead process of this host is taken
    over at once, that of another host when it has not been renewed for GONE_AFTER seconds.
    """
    lock, mine, done = workdir / LOCK, _Holder.this().text(), threading.Event()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not os.access(workdir, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        with _alone(workdir):
            _hold(lock, mine)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # not the user's choice of folder is wrong
        reason = "it is a file" if workdir.is_file() else error.strerror
        raise UsageError(
            f"--workdir={workdir} cannot be written ({reason}); choose a folder that can, with --workdir"
        ) from None
    try:
        threading.Thread(target=_keep, args=(lock, mine, done), name="dlm lock", daemon=True).start()
        with contextlib.suppress(OSError, _Held):
            _sweep(lock, mine)
        yield
    finally:
        done.set()
        # Whoever deleted the lock may have taken it since.
        with contextlib.suppress(OSError), _alone(workdir):
            _remove(lock, lambda found: found.text == mine)


@dataclasses.dataclass(frozen=True)
class Occupant:
    """Who is in a workdir, for who only looks. `renewed` is a time by the file system's clock, in nanoseconds, which
    grows while the process lives; `is_dead` is a process of this host that has ended. No name: the lock does not say.
    """

    host: str
    pid: int
    renewed: int
    is_dead: bool


def occupant(workdir: Path) -> Occupant | None:
    """Who holds a workdir's lock, None if nobody does. OSError where it cannot be read. Writes nothing."""
    seen = _see(workdir / LOCK)
    if seen is None:
        return None
    holder = _Holder.of(seen.text)
    if holder is None:
        return Occupant("", 0, seen.renewed, False)
    return Occupant(holder.host, holder.pid, seen.renewed, holder.host == socket.gethostname() and holder.is_dead())


@dataclasses.dataclass(frozen=True)
class _Holder:
    host: str
    pid: int
    born: str  # of the process, so that a number used again is not taken for the same process
    since: str
    once: str = ""  # unlike any other, so that two locks of one process differ

    @classmethod
    def this(cls) -> _Holder:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), now, uuid.uuid4().hex)

    @classmethod
    def of(cls, text: bytes) -> _Holder | None:
        """Who wrote a lock, None if it does not say."""
        try:
            holder = cls(**json.loads(text))
            check_fields(holder, LOCK)
        except (ValueError, TypeError, RecursionError):
            return None
        return holder if (holder.host + holder.since).isprintable() and 0 < holder.pid < 1 << 31 else None

    def text(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode()

    def is_dead(self) -> bool:
        """Whether a process of this host has ended."""
        born = _born(self.pid)
        return not born or born not in (self.born, _ALIVE)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A lock file as it was read."""

    path: Path = dataclasses.field(compare=False)
    text: bytes
    renewed: int  # ns, by the file system's clock

    def is_gone(self) -> bool:
        """Whether whoever made it cannot be in the workdir any more.

        A lock that does not say whose it is may be one that a process, perhaps on another host, has created and is
        about to write. Nothing but its age can tell that it is left, so it is never taken over at once.
        """
        holder = _Holder.of(self.text)
        if holder is not None and holder.host == socket.gethostname():
            return holder.is_dead()
        return self.silence() >= GONE_AFTER

    def silence(self) -> float:
        """Seconds since it was renewed. A file made now tells the time, for hosts' clocks may differ."""
        probe = _own_name(self.path)
        handle = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        try:
            os.utime(handle)
            return (os.fstat(handle).st_mtime_ns - self.renewed) / 1e9
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)


class _Held(Exception):
    """Someone else holds a lock, or others kept coming first: `by` is then None."""

    def __init__(self, by: _Seen | None):
        super().__init__()
        self.by = by


@contextlib.contextmanager
def _alone(workdir: Path) -> Iterator[None]:
    """Keep other processes of this host waiting, so that they need not race; nothing rests on it."""
    handle = os.open(workdir, os.O_RDONLY)
    try:
        with contextlib.suppress(ImportError, OSError):  # not every system or file system has such locks
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _hold(lock: Path, mine: bytes) -> None:
    """Take the workdir's lock; UsageError with who holds it."""
    try:
        _take(lock, mine, TRIES)
        return
    except _Held as held:
        by = held.by
    if by is None:
        raise UsageError(f"--workdir={lock.parent}: others keep taking its lock; choose another --workdir")
    holder = _Holder.of(by.text)
    whose = f"process {holder.pid} on {holder.host} since {holder.since}" if holder else "somebody who does not say who"
    lapses = ""
    if holder is None or holder.host != socket.gethostname():
        lapses = (
            f" (renewed {max(0.0, by.silence()):.0f} s ago; "
            f"taken over by itself once it is silent for {GONE_AFTER:.0f} s)"
        )
    raise UsageError(
        f"--workdir={lock.parent} is in use by {whose}{lapses}; wait, choose another --workdir, "
        f"or delete {by.path} if that process is gone"
    )


def _take(lock: Path, mine: bytes, tries: int = 3) -> None:
    """Create a lock file, once whoever held it is gone; _Held if somebody is not."""
    by = None
    for _ in range(tries):
        if _create(lock, mine):
            return
        seen = _see(lock)
        if seen is None:
            continue
        if not seen.is_gone():
            raise _Held(seen)
        try:
            _clear(lock, mine)
        except _Held as held:
            by = held.by
            time.sleep(PAUSE)
    raise _Held(by)


def _create(lock: Path, mine: bytes) -> bool:
    """Make a lock file that says `mine`, if there is none; whether it is there.

    It is written under another name and linked, so that a process that is killed never leaves one that says nothing.
    """
    aside = _own_name(lock)
    try:
        _write(aside, mine)
        os.link(aside, lock)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        return _create_in_place(lock, mine)
    finally:
        aside.unlink(missing_ok=True)
    return True


def _create_in_place(lock: Path, mine: bytes) -> bool:
    """The same on a file system without hard links."""
    try:
        _write(lock, mine)
    except FileExistsError:
        return False
    except OSError:
        lock.unlink(missing_ok=True)
        raise
    # Between the two calls it said nothing; whoever was held up there for long has lost it.
    seen = _see(lock)
    return seen is not None and seen.text == mine


def _write(path: Path, text: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        if os.write(handle, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)


def _see(path: Path) -> _Seen | None:
    """Read a lock file, None if there is none."""
    try:
        with open(path, "rb") as file:
            return _Seen(path, file.read(_LONGEST), os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None


def _clear(lock: Path, mine: bytes) -> None:
    """Remove a lock file whose holder is gone; _Held if somebody else is doing that.

    Who judged a lock to be left and is slow to remove it would remove its successor's. Hence it is judged again by
    whoever holds a second lock, the guard; should that process die, its guard is taken over in just this way.
    """
    guard = lock.with_name(lock.name + _GUARD)
    _take(guard, mine)
    try:
        seen = _see(lock)
        if seen is not None and seen.is_gone():
            _remove(lock, lambda found: found == seen)
    finally:
        _remove(guard, lambda found: found.text == mine)


def _remove(path: Path, is_it: Callable[[_Seen], bool]) -> None:
    """Remove a lock file if it is the one that is meant.

    It is looked at once more where only this process reaches it: its holder, halted and counted as gone, may have
    come back, or what was read may have been an old copy that the file system kept.
    """
    seen, aside = _see(path), _own_name(path)
    if seen is None or not is_it(seen):
        return
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        moved = _see(aside)
        if moved is not None and not is_it(moved):
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _sweep(lock: Path, mine: bytes) -> None:
    """Remove what processes that ended in the midst of all this left: guards, locks set aside, probes."""
    for path in lock.parent.glob(f"{lock.name}*{_GUARD}"):
        seen = _see(path)
        if seen is not None and seen.is_gone():
            _clear(path, mine)
    for path in lock.parent.glob(f"{lock.name}*.{_OWN_NAME}"):
        seen = _see(path)
        if seen is not None and seen.is_gone():
            path.unlink(missing_ok=True)


def _keep(lock: Path, mine: bytes, done: threading.Event) -> None:
    """Renew a lock until `done`, for as long as it is `mine`. What goes wrong once may go well the next time."""
    while not done.wait(HEARTBEAT):
        with contextlib.suppress(OSError):
            _renew(lock, mine)


def _renew(lock: Path, mine: bytes) -> None:
    with open(lock, "rb") as file:
        if file.read(_LONGEST) == mine:
            os.utime(file.fileno())


def _own_name(path: Path) -> Path:
    """A name beside a lock file that nobody else uses."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}")


def _born(pid: int) -> str:
    """When a process started, in the kernel's own words; empty when there is none."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return _ALIVE
    return _ALIVE if not Path("/proc/self/stat").exists() else ""
