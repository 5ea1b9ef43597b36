"""Data-equivalence ratios: how many clean training examples a noisy one is equivalent to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from dlm.curves.data_efficiency.equivalence import (
    EquivalenceRatio,
    data_equivalence_ratio,
    overall_equivalence_ratio,
)
from dlm.curves.types import Curve
from dlm.report.formatting import percent
from dlm.report.html.elements import Sentences
from dlm.report.sections.base import ReportContext, SectionContent, section_content


def data_equivalence_section(context: ReportContext) -> SectionContent:
    """Sentences for each learner that was also trained on noisy examples."""
    curves = [learner.curve for learner in context.summary.learners]
    lines = noise_equivalence_sentences(curves, context.summary.level)
    heading = "Data equivalence of noisy examples"
    note = (
        "A ratio of 0.5 means that two noisy training examples reduce the error as much as one clean example. Brackets "
        f"are {percent(context.summary.level)} intervals."
    )
    return section_content("data-equivalence", heading, [Sentences(lines)], note=note, sentences={heading: lines})


def noise_equivalence_sentences(curves: Sequence[Curve], level: float) -> list[str]:
    """For each learner and noise: the ratio at the largest size, and one for all sizes if it fits."""
    clean = {curve.learner: curve for curve in curves if not curve.noise}
    # Noise on test examples changes the estimand, not the training data.
    noisy = [curve for curve in curves if curve.noise and "test " not in curve.noise]
    return [line for curve in noisy for line in _curve_sentences(curve, clean, level)]


def _curve_sentences(curve: Curve, clean: dict[str, Curve], level: float) -> Iterator[str]:
    name = curve.learner.removesuffix(f" ({curve.noise})")
    if name not in clean or not curve.train_sizes:
        return
    rates, words = data_equivalence_ratio(clean[name], curve, level=level), noise_words(curve.noise)
    yield ratio_sentence(name, words, rates[-1])
    every = overall_equivalence_ratio(clean[name], curve, level=level)
    if len(every.train_sizes) > 1:
        yield overall_ratio_sentence(name, words, every)


def ratio_sentence(learner: str, noise_text: str, rate: EquivalenceRatio) -> str:
    """The ratio at one size. `noise_text` describes the noisy examples: "20 % wrong labels"."""
    ratio = equivalence_text(rate.low, rate.median, rate.high)
    where = f"with {noise_text}, at {rate.train_sizes[0]:,} examples"
    if not ratio:
        return (
            f"{learner}: the data-equivalence ratio of examples {where}, cannot be determined from these measurements."
        )
    return f"{learner}: the data-equivalence ratio of examples {where}, is {ratio}."


def overall_ratio_sentence(learner: str, noise_text: str, rate: EquivalenceRatio) -> str:
    """One ratio for all sizes, or how it changes with size."""
    ratio = equivalence_text(rate.low, rate.median, rate.high)
    what = f"{learner}: the data-equivalence ratio of examples with {noise_text}"
    if not ratio:
        return f"{what} cannot be determined from these measurements."
    where = f", from {rate.train_sizes[0]:,} to {rate.train_sizes[-1]:,} examples," if len(rate.train_sizes) > 1 else ""
    if rate.changes_with_size and rate.factor_per_doubling is not None:
        factor = _number(rate.factor_per_doubling, 2, round)
        return f"{what}{where} changes by a factor of {factor} with each doubling of their number."
    return f"{what}{where} is {ratio}."


def equivalence_text(low: float | None, median: float | None, high: float | None) -> str:
    """A ratio: "0.41 [0.33, 0.50]", "less than 0.1", "0.95 [0.8 or more]"; empty without a finite end."""
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
    """A single end, without trailing zeros."""
    text = _number(value, _decimals(value), rounding)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(value: float, digits: int, rounding: Callable[[float], int]) -> str:
    # 0.5 after a logarithm and an exponential must not be rounded up to 0.51.
    scaled = value * 10**digits
    whole = round(scaled) if abs(scaled - round(scaled)) < 1e-6 else rounding(scaled)
    return f"{whole / 10**digits:,.{digits}f}"


def _decimals(value: float) -> int:
    """Two, or more where the first significant digit comes later; fewer from ten on."""
    return max(2 if value < 10 else 1 if value < 100 else 0, 1 - math.floor(math.log10(value)))


_WORDS = {
    "label": "{} wrong labels",
    "label_pairs": "{} labels of the next class",
    "missing": "{} of the values missing",
    "salt": "{} of the values replaced by extremes",
}


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
