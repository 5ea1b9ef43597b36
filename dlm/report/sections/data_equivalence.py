"""What an example of another kind is worth, as plain sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from dlm.curves.data_efficiency.equivalence import (
    EquivalenceRatio,
    OverallEquivalenceRatio,
    data_equivalence_ratio,
    overall_equivalence_ratio,
)
from dlm.curves.types import Curve
from dlm.report.formatting import percent


def exchange_sentence(learner: str, noise_text: str, rate: EquivalenceRatio) -> str:
    """The rate at one size. `noise_text` says what the other examples have: "20 % wrong labels"."""
    said = worth(rate.low, rate.median, rate.high)
    if not said:
        return (
            f"{learner}: what one with {noise_text} is worth at {rate.train_size:,} examples cannot be told from these "
            "measurements."
        )
    return f"{learner}: at {rate.train_size:,} examples one with {noise_text} is worth {said} clean ones."


def overall_sentence(learner: str, noise_text: str, rate: OverallEquivalenceRatio) -> str:
    """One rate for all sizes, or that there is none."""
    said = worth(rate.low, rate.median, rate.high)
    if not said:
        return f"{learner}: what one with {noise_text} is worth cannot be told from these measurements."
    where = f"from {rate.train_sizes[0]:,} to {rate.train_sizes[-1]:,} examples " if len(rate.train_sizes) > 1 else ""
    if rate.changes_with_size and rate.factor_per_doubling is not None:
        return (
            f"{learner}: {where}what one with {noise_text} is worth changes by a factor of "
            f"{_number(rate.factor_per_doubling, 2, round)} each time their number doubles."
        )
    return f"{learner}: {where}one with {noise_text} is worth {said} clean ones."


def worth(low: float | None, median: float | None, high: float | None) -> str:
    """A rate: "0.41 [0.33, 0.50]", "less than 0.1", "0.95 [0.8 or more]"; nothing where it has no end."""
    middle = "" if median is None else _number(median, _decimals(median), round)
    if low is not None and high is not None:
        digits = _decimals(median or high)
        return f"{middle} [{_number(low, digits, math.floor)}, {_number(high, digits, math.ceil)}]".strip()
    if high is not None:
        return f"{middle} [at most {_bound(high, math.ceil)}]" if middle else f"less than {_bound(high, math.ceil)}"
    if low is not None:
        return f"{middle} [{_bound(low, math.floor)} or more]" if middle else f"more than {_bound(low, math.floor)}"
    return ""


def _bound(value: float, rounding: Callable[[float], int]) -> str:
    """An end that stands alone, without zeros that say nothing."""
    text = _number(value, _decimals(value), rounding)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(value: float, digits: int, rounding: Callable[[float], int]) -> str:
    # What was 0.5 before a logarithm and an exponential is not to be rounded up to 0.51.
    scaled = value * 10**digits
    whole = round(scaled) if abs(scaled - round(scaled)) < 1e-6 else rounding(scaled)
    return f"{whole / 10**digits:,.{digits}f}"


def _decimals(value: float) -> int:
    """Two, or more where the first significant digit comes later; fewer from ten on."""
    return max(2 if value < 10 else 1 if value < 100 else 0, 1 - math.floor(math.log10(value)))


_WORDS = {
    "label": "{} wrong labels",
    "label_pairs": "{} labels of the next class",
    "missing": "{} of its values missing",
    "salt": "{} of its values at an end",
}


def worth_sentences(curves: Sequence[Curve], level: float) -> list[str]:
    """A sentence for each learner and noise on training examples: at the largest size; and one for all, if one fits."""
    by_name = {curve.learner: curve for curve in curves if not curve.noise}
    return [line for curve in curves if _is_of_training(curve.noise) for line in _told(curve, by_name, level)]


def _told(curve: Curve, clean: dict[str, Curve], level: float) -> Iterator[str]:
    name = curve.learner.removesuffix(f" ({curve.noise})")
    if name not in clean or not curve.train_sizes:
        return
    rates, words = data_equivalence_ratio(clean[name], curve, level=level), noise_words(curve.noise)
    yield exchange_sentence(name, words, rates[-1])
    every = overall_equivalence_ratio(clean[name], curve, level=level)
    if len(every.train_sizes) > 1:
        yield overall_sentence(name, words, every)


def _is_of_training(noise: str) -> bool:
    """A noisy test set measures something else, and says nothing of the worth of examples."""
    return bool(noise) and "test " not in noise


def noise_words(noise: str) -> str:
    """`label=0.2, gaussian=0.1` in words: "20 % wrong labels and Gaussian noise of s.d. 0.1"."""
    parts = []
    for part in noise.split(", "):
        name, _, amount = part.partition("=")
        if name in _WORDS:
            parts.append(_WORDS[name].format(percent(float(amount))))
        else:
            parts.append(f"Gaussian noise of s.d. {amount}")
    return " and ".join(parts)
