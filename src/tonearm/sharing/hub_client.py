"""Client of the Hugging Face hub: names that it can have, and one line for each of its errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.loading import HUB_ID
from tonearm.text import first_line, quoted

MAX_REASON = 200  # characters of the library's message
_OFFLINE = "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it to reach the hub"
_NO_TOKEN = "no token of the hub; run `hf auth login`, or set HF_TOKEN to a token that may write"
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,249}", re.ASCII)


def check_repository(repository: str) -> None:
    """Raise TonearmError unless a name has the form owner/name."""
    if not HUB_ID.fullmatch(boundary.text(repository, "repository")):
        raise TonearmError(f"{quoted(repository)} is no repository of the hub; write owner/name")


def check_revision(what: str, revision: str | None) -> None:
    """Raise TonearmError for a revision or a tag that git could not have; `what` is its role."""
    given = boundary.optional(boundary.text, revision, what)
    if given is not None and (not _REVISION.fullmatch(given) or ".." in given):
        raise TonearmError(f"the {what} {quoted(given)} is not possible; write one such as v1")


def client() -> Any:
    """Make the hub's client (`HfApi`), with the token of this machine's user, if any.

    Raises TonearmError in the offline mode of huggingface_hub.
    """
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        raise TonearmError(_OFFLINE)
    return HfApi(library_name="tonearm")


def check_token(api: Any) -> None:
    """Raise TonearmError where neither the client nor the machine has a token."""
    from huggingface_hub import get_token

    if not (api.token or get_token()):
        raise TonearmError(_NO_TOKEN)


@contextmanager
def one_line_errors(repository: str, revision: str | None) -> Iterator[None]:
    """Turn every error of the hub's library within the block into a TonearmError of one line.

    Args:
        repository: owner/name, for the message.
        revision: that is asked for; None means main.
    """
    try:
        yield
    except TonearmError:
        raise
    except Exception as error:
        raise TonearmError(_reason(error, repository, revision)) from error


def _reason(error: Exception, repository: str, revision: str | None) -> str:
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    # The order matters: a gated repository is also one that was not found.
    if isinstance(error, errors.OfflineModeIsEnabled):
        return _OFFLINE
    if isinstance(error, errors.LocalTokenNotFoundError):
        return _NO_TOKEN
    if isinstance(error, errors.GatedRepoError):
        return f"{repository} is gated; accept its terms at https://huggingface.co/{repository}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"no model repository {repository} on the hub, or the token may not read it; check the "
            "name, and `hf auth login`"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repository} has no revision {quoted(revision or 'main')}; check its tags"
    if status == 401:
        return "the hub does not know the token; run `hf auth login`, or set HF_TOKEN"
    if status == 403:
        return f"the token may not write to {repository}; use one with the right to write there"
    if isinstance(error, errors.HfHubHTTPError):
        return f"the hub refuses the request for {repository} ({_short(error)}); try again later"
    if isinstance(error, errors.HTTPError):  # of the transport: no answer of the hub
        return f"cannot reach the hub ({_short(error)}); check the network, and try again"
    return f"cannot exchange files with {repository} ({_short(error)}); try again"


def _short(error: Exception) -> str:
    return shortened(" ".join(first_line(error).split()), MAX_REASON)
