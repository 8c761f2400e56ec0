"""A function in a thread of its own, where no event loop of another test runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_a_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Result of a function that starts an event loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(function, *arguments, **options).result()
