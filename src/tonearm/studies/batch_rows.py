"""Rows per batch of a study's takes."""

CPU_ROWS = 48  # more are no faster on a CPU


def batch_rows(given: int | None, device: str) -> int | None:
    """Rows per batch: as given; else on a CPU CPU_ROWS, and elsewhere None, as many as fit.

    Args:
        given: by the user, or None.
        device: type of the device that decodes.
    """
    return CPU_ROWS if given is None and device == "cpu" else given
