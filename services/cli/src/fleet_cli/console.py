"""What a person sees of a run: lines that stay, and one status line that moves."""

import time
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

_PLAIN_SECONDS: Final = 5.0


class RunConsole:
    """On a terminal the status line is rewritten in place, elsewhere printed every 5 s."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._last_plain = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(Text(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line that stays and stands out."""
        self._console.print(Text(text, style="yellow"), soft_wrap=True)

    def status(self, text: str) -> None:
        """The newest status line."""
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            self._live.update(Text(text, style="bold"), refresh=True)
            return
        now = time.monotonic()
        if now - self._last_plain >= _PLAIN_SECONDS:
            self._last_plain = now
            self.say(text)

    def end_status(self) -> None:
        """No status line any more; its last text does not stay."""
        if self._live is not None:
            self._live.stop()
            self._live = None
