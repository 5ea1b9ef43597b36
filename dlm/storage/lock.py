"""Locks a workdir for one process: a file that is renewed while held and taken over when its holder is gone.

A process writes a claim, a file with a unique name, then reads the other claims, then the lock. Without another live
claim or lock it renames its claim to the lock; otherwise it removes its claim. Of two processes the later reader finds
the claim or the lock of the other one, so never both rename. Two that find each other's claims both try again.

`filelock.SoftFileLease` gives the same guarantees, but it takes over the lock of another host only after watching it
for the whole lease. Shared file systems cache modification times for a minute, so the lease is two minutes, and each
resumed run and each refusal would wait that long. This lock compares the last renewal with the file system's clock and
answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from dlm.utils.errors import UsageError

LOCK = "lock.json"
CLAIM = f"{LOCK}.claim."  # start of the names of claims
HEARTBEAT = 10.0  # seconds between renewals
STALE_AFTER = 120.0  # seconds without a renewal after which a holder on another host counts as gone
TRIES, PAUSE, MAX_PAUSE = 100, 0.02, 0.2  # attempts, and seconds before the second one and the last ones
_ALIVE, _MAX_BYTES = "alive", 1 << 16


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
        _acquire(workdir, mine)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = "it is a file" if workdir.is_file() else error.strerror
        raise UsageError(f"--workdir={workdir} cannot be written ({reason}); choose another --workdir") from None
    try:
        threading.Thread(target=_renew_until, args=(lock, mine, done), name="dlm lock", daemon=True).start()
        yield
    finally:
        done.set()
        with contextlib.suppress(OSError):
            if lock.read_bytes() == mine:  # it may be another's by now
                lock.unlink()


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


@dataclasses.dataclass(frozen=True)
class LockFile:
    """A lock or claim as it was read; `renewed`: its last renewal by the file system's clock, in nanoseconds."""

    path: Path
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
        if self.holder is None or not self.holder.is_local:
            return False
        born = _born(self.holder.pid)
        return not born or born not in (self.holder.born, _ALIVE)

    def is_stale(self, now: int) -> bool:
        """Whether the holder cannot be in the workdir any more. now: nanoseconds by the file system's clock."""
        is_local = self.holder is not None and self.holder.is_local
        return self.is_dead if is_local else now - self.renewed >= STALE_AFTER * 1e9


def _acquire(workdir: Path, mine: bytes) -> None:
    """Take the lock, after removing a stale one. UsageError if another process holds it."""
    for attempt in range(TRIES):
        claim = workdir / f"{CLAIM}{uuid.uuid4().hex}"
        try:
            if _try_to_acquire(claim, workdir / LOCK, mine):
                return
        finally:
            claim.unlink(missing_ok=True)
        time.sleep(random.uniform(0, min(PAUSE * (attempt + 1), MAX_PAUSE)))
    raise UsageError(f"--workdir={workdir}: other processes keep claiming its lock; wait, or choose another --workdir")


def _try_to_acquire(claim: Path, lock: Path, mine: bytes) -> bool:
    """Whether this process has the lock now; False if another one claims it too."""
    now = _write(claim, mine)
    claims = [seen for path in lock.parent.glob(f"{CLAIM}*") if path != claim and (seen := _read(path))]
    held = _read(lock)  # after the claims, any of which may have become the lock
    if held is not None and not held.is_stale(now):
        raise _refusal(held, now)
    # A claim without a holder is not written yet: its process will find this claim.
    if any(each.holder and not each.is_stale(now) for each in claims):
        return False
    try:
        # A process that was halted for long must not rename its claim later.
        for each in claims:
            if each.is_stale(now):
                each.path.unlink()
        os.rename(claim, lock)
    except FileNotFoundError:  # another process has changed a claim meanwhile
        return False
    return True


def _refusal(held: LockFile, now: int) -> UsageError:
    holder, renewal = held.holder, ""
    who = f"process {holder.pid} on {holder.host} since {holder.since}" if holder else "an unknown process"
    if not (holder and holder.is_local):
        silence = max(0.0, (now - held.renewed) / 1e9)
        renewal = f" (renewed {silence:.0f} s ago; taken over automatically after {STALE_AFTER:.0f} s)"
    return UsageError(
        f"--workdir={held.path.parent} is in use by {who}{renewal}; wait, choose another --workdir, or delete "
        f"{held.path} if that process is gone"
    )


def _write(path: Path, text: bytes) -> int:
    """Write a new file, and return the time of the file system's clock: clocks of hosts may differ. In nanoseconds."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        if os.write(handle, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
        os.utime(handle)
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def _read(path: Path) -> LockFile | None:
    try:
        with open(path, "rb") as file:
            return LockFile(path, file.read(_MAX_BYTES), os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None


def _renew_until(lock: Path, mine: bytes, done: threading.Event) -> None:
    """Renew a lock until `done`. An error of the file system does not end the renewals."""
    while not done.wait(HEARTBEAT):
        with contextlib.suppress(OSError):
            _renew(lock, mine)


def _renew(lock: Path, mine: bytes) -> None:
    with open(lock, "rb") as file:
        if file.read(_MAX_BYTES) == mine:
            os.utime(file.fileno())


def _born(pid: int) -> str:
    """Start time of a process, as the kernel gives it; empty without such a process."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    return _ALIVE if psutil.pid_exists(pid) else ""
