"""`routerfleet`, `python -m fleet_cli`."""

from fleet_cli.commands import build_app


def main() -> None:
    """Run the command line."""
    build_app()()


if __name__ == "__main__":
    main()
