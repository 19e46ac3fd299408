"""python -m cloister_engine COMMAND SPEC.json"""

from __future__ import annotations

import sys
from pathlib import Path

from .run import run
from .spec import COMMANDS


def main(argv: list[str]) -> int:
    if len(argv) != 2 or argv[0] not in COMMANDS:
        sys.stderr.write(f"usage: python -m cloister_engine {'|'.join(sorted(COMMANDS))} SPEC.json\n")
        return 64
    return run(argv[0], Path(argv[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
