"""Groups of measures are those of each test."""

from collections.abc import Iterator

import pytest

from tonearm.studies.measure_groups import group


@pytest.fixture(autouse=True)
def groups_of_the_test() -> Iterator[None]:
    """Forget the groups that a test has planted, which the process keeps."""
    yield
    group.cache_clear()
