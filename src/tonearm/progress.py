"""Progress of long work."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # (done, total), in the unit of the function that reports
