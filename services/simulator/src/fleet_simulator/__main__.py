"""`python -m fleet_simulator`."""

import typer

from fleet_simulator.cli import simulate


def main() -> None:
    """Run the command line."""
    typer.run(simulate)


if __name__ == "__main__":
    main()
