"""`routerfleet`, `python -m fleet_cli`."""

import sys
from typing import Final

_INTERRUPTED: Final = 130
"""What a shell makes of SIGINT."""


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback at any time."""
    try:
        # Inside, because the imports take up to a second, in which somebody may think again.
        from fleet_cli.commands import build_app  # noqa: PLC0415

        build_app()()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
