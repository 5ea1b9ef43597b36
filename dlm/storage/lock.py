"""Locks a workdir for one process: a file that is renewed while held and taken over when its holder is gone.

`filelock.SoftFileLease` gives the same guarantees (renewal, process ids that are used again, never two holders), but it
takes over the lock of another host only after watching it for the whole lease. Shared file systems cache modification
times for a minute, so the lease is two minutes, and each resumed run and each refusal would wait that long. This lock
compares the last renewal with the file system's clock and answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from dlm.utils.errors import UsageError

LOCK = "lock.json"
HEARTBEAT = 10.0  # seconds between renewals
STALE_AFTER = 120.0  # seconds without a renewal after which a holder on another host counts as gone
TRIES, PAUSE = 100, 0.02  # attempts, and seconds between them, while another process takes the lock over
_GUARD, _ALIVE, _MAX_BYTES = ".takeover", "alive", 1 << 16
_UNIQUE = "[0-9a-f]" * 32


@contextlib.contextmanager
def hold_lock(workdir: Path) -> Iterator[None]:
    """Make the folder if it does not exist and hold its lock for this process.

    The lock of a dead process of this host is taken over at once; that of another host, or one without a readable
    holder, after `STALE_AFTER` seconds without a renewal. Raises UsageError if the folder cannot be written, or another
    process holds the lock.
    """
    lock, mine, done = workdir / LOCK, msgspec.json.encode(_Holder.this()), threading.Event()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not os.access(workdir, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _acquire(lock, mine, TRIES)
    except _Held as held:
        raise _refusal(lock, held.by) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = "it is a file" if workdir.is_file() else error.strerror
        raise UsageError(f"--workdir={workdir} cannot be written ({reason}); choose another --workdir") from None
    try:
        threading.Thread(target=_renew_until, args=(lock, mine, done), name="dlm lock", daemon=True).start()
        with contextlib.suppress(OSError, _Held):
            _remove_leftovers(lock, mine)
        yield
    finally:
        done.set()
        with contextlib.suppress(OSError):
            _remove(lock, lambda seen: seen.text == mine)  # it may be another's by now


def read_lock(workdir: Path) -> LockFile | None:
    """A workdir's lock; None without one. Writes nothing. OSError if the file cannot be read."""
    return _read(workdir / LOCK)


class _Holder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of a lock file."""

    host: str
    pid: int
    born: str  # start time of the process, which differs if its id is used again
    since: str
    token: str  # distinguishes two locks of one process

    @classmethod
    def this(cls) -> _Holder:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(socket.gethostname(), os.getpid(), _born(os.getpid()), now, uuid.uuid4().hex)

    @property
    def is_local(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def is_dead(self) -> bool:
        """Whether a process of this host has ended."""
        born = _born(self.pid)
        return not born or born not in (self.born, _ALIVE)


@dataclasses.dataclass(frozen=True)
class LockFile:
    """A lock file as it was read; `renewed`: time of the last renewal by the file system's clock, in nanoseconds."""

    path: Path = dataclasses.field(compare=False)
    text: bytes
    renewed: int

    @functools.cached_property
    def holder(self) -> _Holder | None:
        """The holder; None for content that is not a lock's, for example before it is written."""
        try:
            holder = msgspec.json.decode(self.text, type=_Holder)
        except (msgspec.DecodeError, RecursionError):
            return None
        return holder if (holder.host + holder.since).isprintable() and 0 < holder.pid < 1 << 31 else None

    @property
    def process(self) -> tuple[str, int]:
        """Host and process id of the holder; ("", 0) if the content is not a lock's."""
        return (self.holder.host, self.holder.pid) if self.holder else ("", 0)

    @property
    def is_dead(self) -> bool:
        """Whether the holder is a process of this host that has ended."""
        return self.holder is not None and self.holder.is_local and self.holder.is_dead

    def is_stale(self) -> bool:
        """Whether the holder cannot be in the workdir any more."""
        return self.is_dead if self.holder and self.holder.is_local else self.silence() >= STALE_AFTER

    def silence(self) -> float:
        """Seconds since the last renewal, by the file system's clock: hosts' clocks may differ."""
        probe = _unique(self.path)
        handle = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        try:
            os.utime(handle)
            return (os.fstat(handle).st_mtime_ns - self.renewed) / 1e9
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)


class _Held(Exception):
    """Another process holds a lock (`by`), or other processes kept taking it over (None)."""

    def __init__(self, by: LockFile | None):
        super().__init__()
        self.by = by


def _refusal(lock: Path, by: LockFile | None) -> UsageError:
    if by is None:
        return UsageError(f"--workdir={lock.parent}: others keep taking its lock; choose another --workdir")
    holder, renewal = by.holder, ""
    who = f"process {holder.pid} on {holder.host} since {holder.since}" if holder else "an unknown process"
    if not (holder and holder.is_local):
        silence = max(0.0, by.silence())
        renewal = f" (renewed {silence:.0f} s ago; taken over automatically after {STALE_AFTER:.0f} s)"
    return UsageError(
        f"--workdir={lock.parent} is in use by {who}{renewal}; wait, choose another --workdir, or delete {by.path} if "
        "that process is gone"
    )


def _acquire(lock: Path, mine: bytes, tries: int = 3) -> None:
    """Create a lock file, after removing a stale one. Raises `_Held`."""
    by = None
    for _ in range(tries):
        if _create(lock, mine):
            return
        seen = _read(lock)
        if seen is None:
            continue
        if not seen.is_stale():
            raise _Held(seen)
        try:
            _remove_stale(lock, mine)
        except _Held as held:
            by = held.by
            time.sleep(PAUSE)
    raise _Held(by)


def _create(lock: Path, mine: bytes) -> bool:
    """Create a lock file unless there is one, and return whether this process made it.

    It is written under another name and linked, so that a killed process does not leave an empty one.
    """
    aside = _unique(lock)
    try:
        _write(aside, mine)
        os.link(aside, lock)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
    finally:
        aside.unlink(missing_ok=True)
    # A file system without hard links. The file is empty between two calls, in which a slow process may lose it.
    try:
        _write(lock, mine)
    except FileExistsError:
        return False
    except OSError:
        lock.unlink(missing_ok=True)
        raise
    seen = _read(lock)
    return seen is not None and seen.text == mine


def _write(path: Path, text: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        if os.write(handle, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> LockFile | None:
    try:
        with open(path, "rb") as file:
            return LockFile(path, file.read(_MAX_BYTES), os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None


def _remove_stale(lock: Path, mine: bytes) -> None:
    """Remove a stale lock file. Raises `_Held` if another process is removing it.

    A process that read a stale lock and is slow would remove its successor's. So only the holder of a second lock, the
    guard, removes it, after reading it again; the guard of a dead process is taken over in the same way.
    """
    guard = lock.with_name(lock.name + _GUARD)
    _acquire(guard, mine)
    try:
        seen = _read(lock)
        if seen is not None and seen.is_stale():
            _remove(lock, lambda now: now == seen)
    finally:
        _remove(guard, lambda now: now.text == mine)


def _remove(path: Path, matches: Callable[[LockFile], bool]) -> None:
    """Remove a lock file if it matches.

    It is checked again after a rename to a unique name: its holder may have renewed it since, or the file system may
    have returned a cached copy.
    """
    seen, aside = _read(path), _unique(path)
    if seen is None or not matches(seen):
        return
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        moved = _read(aside)
        if moved is not None and not matches(moved):
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _remove_leftovers(lock: Path, mine: bytes) -> None:
    """Remove guards, renamed locks and probes of processes that ended during a takeover."""
    for path in lock.parent.glob(f"{lock.name}*"):
        is_guard, is_unique = path.name.endswith(_GUARD), path.match(f"{lock.name}*.{_UNIQUE}")
        seen = _read(path) if is_guard or is_unique else None
        if seen is not None and seen.is_stale():
            _remove_stale(path, mine) if is_guard else path.unlink(missing_ok=True)


def _renew_until(lock: Path, mine: bytes, done: threading.Event) -> None:
    """Renew a lock until `done`. An error of the file system does not end the renewals."""
    while not done.wait(HEARTBEAT):
        with contextlib.suppress(OSError):
            _renew(lock, mine)


def _renew(lock: Path, mine: bytes) -> None:
    with open(lock, "rb") as file:
        if file.read(_MAX_BYTES) == mine:
            os.utime(file.fileno())


def _unique(path: Path) -> Path:
    """A name beside a lock file that no other process uses."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}")


def _born(pid: int) -> str:
    """Start time of a process, as the kernel gives it; empty without such a process."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return _ALIVE
    return _ALIVE if not Path("/proc/self/stat").exists() else ""
