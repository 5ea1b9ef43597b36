"""Report words of the old vocabulary in code and documentation: python -m scripts.check_words [PATH ...]

Identifiers are compared whole; comments, strings and documents are searched with regular expressions.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEARCHED = ("dlm", "experiments", "docs", "README.md", "CONTRIBUTING.md", "launch.py")
SUFFIXES = (".py", ".md", ".j2", ".js")

IDENTIFIERS = {
    "told": "result, report or message",
    "tell": "report or log",
    "said": "report or message",
    "found": "result, matches or rows",
    "lost": "failed",
    "kept": "saved",
    "met": "reached",
    "meet": "make_batch",
    "shown": "examples or displayed",
    "lead": "error_gap or ranking",
    "worth": "data_equivalence_ratio",
    "places": "indices",
    "drawn": "quasi_random or samples",
    "suggested": "suggest",
    "rivals": "baselines",
    "guesses": "closed_form_fits",
    "whoever": "a name for the role",
    "arrays": "dataset",
    "Arrays": "Dataset",
    "needed": "import_optional or required",
    "versus": "compare_studies",
    "exchange": "data_equivalence_ratio",
    "unsaid": "an explicit default",
    "waves": "memory_chunks",
    "placed": "device_data",
}

TEXT = {
    r"\btold\b": "reported, given or known",
    r"\btells? (?:what|how|why|who|which|apart)\b": "states, explains or distinguishes",
    r"\b(?:can|could|may|must)(?:not| not)? be told\b": "unknown or cannot be inferred",
    r"(?<![Tt]here )\b(?:is|are) no (?!longer|more than|less|fewer|better|worse|larger|smaller|such)\w": (
        "is not a …; name the rule and the remedy"
    ),
    r"\bwhoever\b": "the caller, the user",
    r"\bsomebody\b|\bnobody\b": "a user, another process, none",
    r"\blest\b": "so that … not",
    r"\bgoes without saying\b": "(delete)",
    r"\bby heart\b": "memorized",
    r"\bheld against\b": "compared with",
    r"\bas far as\b": "up to, if",
    r"\bof one's own\b|\bone's own\b": "your own, custom",
    r"\bwhat every part is given\b": "the shared context",
    r"\berrs\b": "has an error of; write an error ratio",
    r"\bmet (?:at|by|within|with)\b": "reached at",
    r"\bchance that\b": "probability that",
    r"\b[Tt]o know before trusting\b": "Caveats",
    r"\brivals?\b": "baseline",
    r"\bunbeaten\b": "worse than the naive baseline",
    r"\bin two places\b": "in train and test",
    r"\bequal means\b": "equal tuning budget",
    r"\bmend(?:s|ed|ing)?\b": "fix, repair",
    r"\bslips?\b": "mistake",
    r"(?<!image )(?<!series )\bis worth\b(?! [a-z]+ing)": "has a data-equivalence ratio of",
    r"--mode=inside|\binside the network\b": "--mode=interpret, interpretability",
    r"\ba linear reader\b": "linear probe",
    r"\bovertakes? whom\b": "crossovers",
    r"\bcells? (?:trained|failed|diverged|finished)\b|\b(?:finished|failed|diverged|trained) cells?\b": "trial",
    r"\bof any help\b|\bof no use with\b": "has no effect with",
    r"\bin the field's\b": "(delete)",
    r"\bhow much \w+ \w+ is worth\b": "the data-equivalence ratio",
}
_PATTERNS = [(re.compile(pattern), replacement) for pattern, replacement in TEXT.items()]


def files(paths: list[Path]) -> Iterator[Path]:
    """The files to search, in order of their names."""
    for path in paths:
        listed = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in listed if file.suffix in SUFFIXES and "__pycache__" not in file.parts)


def matches(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, word and replacement for each forbidden word of a file's text."""
    if name.endswith(".py"):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and token.string in IDENTIFIERS:
                yield token.start[0], token.string, IDENTIFIERS[token.string]
            elif token.type in (tokenize.STRING, tokenize.COMMENT):
                yield from _text_matches(token.string, token.start[0])
    else:
        yield from _text_matches(text, 1)


def _text_matches(text: str, first: int) -> Iterator[tuple[int, str, str]]:
    flat = re.sub(r"[ \t]*\n[ \t]*", lambda match: " " * len(match.group()), text)  # phrases may span lines
    for pattern, replacement in _PATTERNS:
        for match in pattern.finditer(flat):
            yield first + text.count("\n", 0, match.start()), match.group(), replacement


def main(arguments: list[str]) -> int:
    """Print the forbidden words; 1 if there are any."""
    count = 0
    for file in files([Path(argument) for argument in arguments] or [ROOT / name for name in SEARCHED]):
        for line, word, replacement in sorted(matches(file.name, file.read_text(encoding="utf-8"))):
            print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}:{line}: {word} → {replacement}")
            count += 1
    print(f"{count} forbidden words" if count else "no forbidden words")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
