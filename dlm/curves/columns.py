"""Which column of somebody's table is which."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from dlm.errors import UsageError, nearest

ERROR = (
    "error", "err", "error_rate", "test_error", "test_err", "err_test", "error_test", "test_error_rate", "val_error",
    "validation_error",
)  # fmt: skip
LOSS = (
    "loss", "test_loss", "val_loss", "validation_loss", "eval_loss", "nll", "cross_entropy", "mse", "rmse", "mae",
)  # fmt: skip
ACCURACY = (
    "accuracy", "acc", "test_accuracy", "test_acc", "val_accuracy", "val_acc", "validation_accuracy",
)  # fmt: skip

# The first name of each is the one that counts where there are several.
_NAMES = {
    "size": (
        "size", "sizes", "n", "train_size", "n_train", "num_train", "training_size", "train_examples",
        "training_examples", "num_examples", "n_examples", "examples", "samples", "n_samples", "num_samples", "anchor",
    ),
    "error": (*ERROR, *LOSS, *ACCURACY),
    "repeat": ("repeat", "rep", "replicate", "seed", "fold", "run", "trial"),
    "learner": ("learner", "model", "method", "algorithm", "classifier", "architecture"),
    "stderr": ("stderr", "std_err", "se", "sem", "standard_error", "std_error"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where each column stands; None for one that is not there. `measure` is the plain name of the error's column."""

    size: int
    error: int
    repeat: int | None
    learner: int | None
    stderr: int | None
    measure: str
    unused: tuple[str, ...]


def columns(header: Sequence[str]) -> Columns:
    """The columns of a header. UsageError where size or error is missing, or one could be either of two."""
    plain = [_plain(name) for name in header]
    found = {role: _one(role, names, plain) for role, names in _NAMES.items()}
    size, error = found["size"], found["error"]
    if size is None or error is None:
        missing = "size" if size is None else "error"
        read = ", ".join(repr(name.strip()[:40]) for name in header[:12])
        close = nearest(missing, [name for name in plain if name and name[:1].isalpha()][:12])
        remedy = f" ({close})" if close.startswith("did you mean") else ""
        raise UsageError(
            f"the first line names no column {missing}{remedy}: it reads {read}; begin with a line such as size,error"
        )
    places = {place for place in found.values() if place is not None}
    return Columns(
        size=size,
        error=error,
        repeat=found["repeat"],
        learner=found["learner"],
        stderr=found["stderr"],
        measure=plain[error],
        unused=tuple(name.strip() for k, name in enumerate(header) if k not in places and name.strip()),
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().casefold())


def _one(role: str, names: Sequence[str], plain: Sequence[str]) -> int | None:
    """The place of the column for a role: the one with its first name, else the only one with another of its names."""
    places = [k for k, name in enumerate(plain) if name == names[0]] or [
        k for k, name in enumerate(plain) if name in names
    ]
    if len(places) > 1:
        both = " and ".join(repr(plain[k]) for k in places)
        raise UsageError(
            f"the first line names {both}, and each could be the {role}; call the one that is meant {names[0]!r}"
        )
    return places[0] if places else None
