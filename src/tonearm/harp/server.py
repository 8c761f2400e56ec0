"""Gradio application of an endpoint, behind the studio's checks of every request."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from packaging.version import Version

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.harp.generator import GeneratedTake, TakeGenerator
from tonearm.harp.jobs import Jobs
from tonearm.harp.labels import label_list
from tonearm.harp.panel import Panel
from tonearm.harp.routes import CANCEL, CONTROLS, PROCESS, Routes
from tonearm.progress import Progress
from tonearm.studio import uploads
from tonearm.studio.safety import Guard

OLDEST = "6.13"  # of Gradio; earlier ones do not return the text of an error
INSTALL = "pip install 'tonearm[harp]'"
KEPT_SECONDS = 3600  # of uploads and takes among the temporary files
CLEANING_SECONDS = 600  # between two looks for older ones
# Gradio reads them when it is imported: no statistics, no record of calls, no scripts on a server
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
}
_log = logging.getLogger(__name__)


def check_gradio() -> None:
    """Import Gradio; raises TonearmError where it is absent or too old."""
    os.environ.update(SETTINGS)
    needed = f"the HARP endpoint needs the package gradio {OLDEST} or newer; {INSTALL}"
    try:
        import gradio
    except ImportError as error:
        raise TonearmError(needed) from error
    if Version(gradio.__version__) < Version(OLDEST):
        raise TonearmError(f"{needed}; version {gradio.__version__} is installed")


def make_app(
    panel: Panel,
    generator: TakeGenerator,
    temporary: Path,
    bound: str = "127.0.0.1",
    token: str | None = None,
) -> tuple[Any, Callable[[], None]]:
    """Make the ASGI application.

    Args:
        panel: controls of the model.
        generator: of its takes.
        temporary: folder of uploads and answers; the caller removes it at the end.
        bound: host that the server is bound to.
        token: first part of all paths; None where none is needed.

    Returns:
        The application, and a function that cancels all takes.
    """
    check_gradio()
    os.environ["GRADIO_TEMP_DIR"] = str(temporary)
    import gradio

    jobs = Jobs()

    async def process(path: str | None, *values: object) -> tuple[str, dict[str, Any]]:
        """Make a take.

        Raises:
            gradio.Error: any fault, since HARP takes an error without a text for a used-up quota.
        """
        try:
            request = panel.read(values)
            selection = None if path is None else await _decoded(Path(path))

            def work(progress: Progress) -> GeneratedTake:
                return generator.make(selection, request, progress)

            made = await run_in_threadpool(jobs.run, work)
            return _copied(made.path, temporary), label_list(made.labels)
        except TonearmError as error:
            raise gradio.Error(str(error), print_exception=False) from error
        except Exception as error:
            _log.exception("a take could not be made")
            raise gradio.Error(
                f"{type(error).__name__}; see the terminal of the server", print_exception=False
            ) from error

    def controls() -> dict[str, Any]:
        return panel.to_dict()

    def cancel() -> None:
        jobs.cancel()

    with gradio.Blocks(
        analytics_enabled=False, delete_cache=(CLEANING_SECONDS, KEPT_SECONDS)
    ) as blocks:
        described = gradio.JSON()
        inputs = [gradio.File(type="filepath"), *(gradio.JSON() for _ in panel.controls)]
        outputs = [gradio.File(type="filepath"), gradio.JSON()]
        shared: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
        gradio.Button().click(controls, [], [described], api_name=CONTROLS, **shared)
        gradio.Button().click(process, inputs, outputs, api_name=PROCESS, **shared)
        gradio.Button().click(cancel, [], [], api_name=CANCEL, **shared)
    app = gradio.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path=f"/{token or ''}",
        show_error=False,
        max_file_size=uploads.MAX_BYTES,
        ssr_mode=False,
        mcp_server=False,
    )
    counts = {CONTROLS: 0, PROCESS: len(inputs), CANCEL: 0}
    routes = Routes(app, token, counts, temporary)
    return Guard(routes, bound, None, any_name=token is not None), jobs.cancel


async def _decoded(path: Path) -> Clip:
    """Decode an uploaded file in a process of its own, limited as uploads of the studio are."""
    return await uploads.decoded(await run_in_threadpool(path.read_bytes))


def _copied(path: Path, folder: Path) -> str:
    """Copy a take to the temporary files, the only ones that Gradio serves."""
    return str(shutil.copy(path, folder / path.name))
