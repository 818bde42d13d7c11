"""What the terminal that is printed to can show."""

import os
import sys
from shutil import get_terminal_size

_NARROWEST, _WIDEST = 40, 120


def in_color(choice: str, output_file: str | None) -> bool:
    """Whether to print in colour, given ``auto``, ``always`` or ``never``."""
    if choice != "auto":
        return choice == "always"
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and output_file is None and sys.stdout.isatty()


def width() -> int:
    """Columns to wrap at: the terminal's, or 100 where there is none."""
    return max(_NARROWEST, min(get_terminal_size((100, 24)).columns, _WIDEST))
