"""Two studies held against each other, as plain sentences."""

from __future__ import annotations

import math

from dlm.curves.exchange import OverallRate, Rate
from dlm.curves.versus import Difference, Versus
from dlm.report.exchanged import worth
from dlm.report.phrases import seeds

CLEAR = 0.05  # p below which a difference is said


def versus_sentences(one: Versus) -> list[str]:
    """How much of the other's data, who errs less, and whether the seeds are enough to tell."""
    return [needs_sentence(one), difference_sentence(one), *_enough(one)]


def needs_sentence(one: Versus) -> str:
    """ "a needs 0.6x [0.5, 0.8] of b's data", or that it cannot be told, or that it changes with the size."""
    needs = one.needs
    said = times(needs)
    if not said:
        return f"How much of {one.b}'s data {one.a} needs to err as little cannot be told from these sizes."
    if needs.changes and needs.drift is not None:
        rates = [rate for rate in one.needs_at if rate.median is not None]
        if len(rates) > 1:
            first, last = times(rates[0]), times(rates[-1])
            return (
                f"How much of {one.b}'s data {one.a} needs changes with the size: {first} at {rates[0].size:,} "
                f"examples, {last} at {rates[-1].size:,}."
            )
    where = f" (from {needs.sizes[0]:,} to {needs.sizes[-1]:,} examples)" if len(needs.sizes) > 1 else ""
    return f"{one.a} needs {said} of {one.b}'s data to err as little{where}."


def times(rate: Rate | OverallRate) -> str:
    """A rate: "0.6x [0.5, 0.8]", "less than 0.1x"; nothing where it has no end."""
    text = worth(rate.low, rate.median, rate.high)
    head, bracket, rest = text.partition(" [")
    return f"{head}x{bracket}{rest}" if text else ""


def difference_sentence(one: Versus) -> str:
    """Who errs less, over all common sizes, paired by seed."""
    whole = one.whole
    if whole is None:
        return f"{one.a} and {one.b} have no seed in common that learnt from the same subsets: nothing is paired."
    if whole.p is None:
        return f"{one.a} errs {_percent(whole.mean)} than {one.b}; one paired seed says nothing of the noise."
    paired = f"paired over {seeds(whole.num_seeds)} and {len(one.differences)} sizes"
    if whole.p < CLEAR:
        return f"{one.a} errs {_percent(whole.mean)} than {one.b}{_interval(whole)}, {paired} (p={_p(whole.p)})."
    return (
        f"No difference between {one.a} and {one.b} is shown: {_signed(whole.mean)}{_interval(whole)}, {paired} "
        f"(p={_p(whole.p)})."
    )


def _enough(one: Versus) -> list[str]:
    """Whether the seeds are too few to have seen what may be there."""
    whole = one.whole
    if whole is None or whole.p is None or one.visible is None or one.seeds_needed is None:
        return []
    if whole.p < CLEAR or one.seeds_needed <= whole.num_seeds:
        return []
    return [
        f"{seeds(whole.num_seeds)} are too few to see a small difference: one of {100 * one.visible:.0f} % would have "
        f"shown with a chance of 80 %; about {one.seeds_needed:,} seeds would show one of 5 %."
    ]


def _percent(mean: float) -> str:
    """ "12 % less" of a difference relative to the mean of both."""
    return f"{_number(abs(mean))} % {'less' if mean < 0 else 'more'}"


def _signed(mean: float) -> str:
    return f"{'−' if mean < 0 else '+'}{_number(abs(mean))} %"


def _interval(one: Difference) -> str:
    if one.low is None or one.high is None:
        return ""
    ends = sorted((one.low, one.high), key=abs) if one.low * one.high > 0 else (one.low, one.high)
    shown = [_number(abs(end)) if one.low * one.high > 0 else _signed(end).removesuffix(" %") for end in ends]
    return f" [{shown[0]}, {shown[1]}]"


def _number(share: float) -> str:
    value = 100 * share
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def _p(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.{max(2, 1 - math.floor(math.log10(p)))}f}"
