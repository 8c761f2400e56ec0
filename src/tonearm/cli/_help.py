"""Command class whose help names the registered methods, which are imported only for that."""

from typing import Any

from typer.core import TyperCommand

METHODS = "{methods}"  # in the help of an option


class Command(TyperCommand):
    """Command that fills in `{methods}` when its help is shown."""

    def format_help(self, *arguments: Any) -> None:
        """Write the help."""
        for option in self.params:
            text = getattr(option, "help", None) or ""
            if METHODS in text:
                from tonearm.methods import usages

                option.help = text.replace(METHODS, ", ".join(usages()))  # type: ignore[attr-defined]
        super().format_help(*arguments)
