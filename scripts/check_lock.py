"""Fail unless the lock files name every direct dependency of pyproject.toml in a version that it allows."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def locked(name: str) -> dict[str, list[str]]:
    """Versions of each package in a lock file, several where they depend on Python's version."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if line and not line.startswith((" ", "#", "-")):
            requirement = Requirement(line)
            (pin,) = requirement.specifier
            versions.setdefault(canonicalize_name(requirement.name), []).append(pin.version)
    return versions


def check(lock: str, wanted: list[str]) -> list[str]:
    """What the lock file lacks or holds in a version that is not allowed."""
    versions = locked(lock)
    mistakes = []
    for text in wanted:
        requirement = Requirement(text)
        found = versions.get(canonicalize_name(requirement.name), [])
        if not found or not all(requirement.specifier.contains(version) for version in found):
            mistakes.append(f"{lock}: {text} is wanted, {found or 'nothing'} is locked; see CONTRIBUTING")
    return mistakes


def expanded(extra: str, extras: dict[str, list[str]]) -> list[str]:
    """The requirements of an extra, with those of the extras that it names in their place."""
    found = []
    for text in extras[extra]:
        requirement = Requirement(text)
        if requirement.name == "dlm":
            found += [one for name in sorted(requirement.extras) for one in expanded(name, extras)]
        else:
            found.append(text)
    return found


def main() -> None:
    """Check both lock files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    core = project["dependencies"] + expanded("test", extras)
    dev = expanded("dev", extras)
    mistakes = check("requirements.txt", core) + check("requirements-dev.txt", core + dev)
    if mistakes:
        raise SystemExit("\n".join(mistakes))
    print("the lock files agree with pyproject.toml")


if __name__ == "__main__":
    main()
