"""Chromium for the tests of pages, where the machine has one."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "TONEARM_CHROMIUM"
ABSENT = f"no Chromium: install Debian's `chromium`, or set {VARIABLE} to its path"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)


def find_chromium() -> str | None:
    """Path of a Chromium; None where there is none. Nothing is downloaded."""
    given = os.environ.get(VARIABLE)
    if given:
        return given if Path(given).is_file() else None
    return next((path for name in NAMES if (path := shutil.which(name))), None)
