"""What noisy examples are worth in clean ones, for each learner that was measured with both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlm.curves.exchange import exchange, overall
from dlm.curves.results import Curve
from dlm.report.exchanged import exchange_sentence, overall_sentence
from dlm.report.phrases import percent

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
    if name not in clean or not curve.sizes:
        return
    rates, words = exchange(clean[name], curve, level=level), noise_words(curve.noise)
    yield exchange_sentence(name, words, rates[-1])
    every = overall(clean[name], curve, level=level)
    if len(every.sizes) > 1:
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
