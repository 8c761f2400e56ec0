"""Materials of the campaign, made once per test process."""

import os
from pathlib import Path

import pytest

from tests.campaign.materials import Materials, make_materials

pytestmark = pytest.mark.campaign


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, the generated ones too."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.campaign)


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    before = dict(os.environ)
    try:
        yield make_materials(tmp_path_factory.mktemp("materials"))
    finally:
        os.environ.clear()
        os.environ.update(before)
