"""Print one of README's commands, so that what is tested is what is written: python -m scripts.readme_command tests"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def command(name: str) -> str:
    """The shell block that follows the marker `<!-- command: NAME -->`."""
    found = re.search(rf"<!-- command: {re.escape(name)} -->\n```bash\n(.*?)```", README.read_text(), re.DOTALL)
    if not found:
        raise SystemExit(f"README.md has no command {name!r}: mark its block with <!-- command: {name} -->")
    return found.group(1).strip()


if __name__ == "__main__":
    print(command(sys.argv[1]))
