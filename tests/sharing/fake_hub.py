"""A hub in a folder, with the calls of `huggingface_hub.HfApi` that Tonearm makes.

Every call is bound to the signature of the real method, so that a call that the library does not
have fails here too.
"""

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.hf_api import GitRefInfo, GitRefs, ModelInfo


def answer(status: int, code: str = "") -> Any:
    """A response of the hub, of the HTTP library that huggingface_hub uses."""
    from huggingface_hub import errors

    kind = inspect.getmodule(errors.Response)
    headers = {"X-Error-Code": code} if code else {}
    http = __import__(kind.__name__.partition(".")[0])
    request = http.Request("GET", "https://huggingface.co/api/models/me/knobs")
    return errors.Response(status, headers=headers, request=request)


@dataclass
class FakeHub:
    """Commits by repository, and the calls that were made.

    commits  repository -> contents by path, for each commit in order
    tags     (repository, tag) -> number of the commit
    fail     name of a call -> the error that it raises
    """

    token: str | None = "hf_test"
    endpoint: str = "https://huggingface.co"
    commits: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    tags: dict[tuple[str, str], int] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fail: dict[str, Exception] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        real, own = getattr(HfApi, name), getattr(type(self), f"_{name}")

        def call(*positional: Any, **named: Any) -> Any:
            bound = inspect.signature(real).bind(self, *positional, **named).arguments
            given = {key: value for key, value in bound.items() if key != "self"}
            self.calls.append((name, given))
            if name in self.fail:
                raise self.fail[name]
            return own(self, **given)

        return call

    def _repo_exists(self, repo_id: str, repo_type: str) -> bool:
        return repo_id in self.commits

    def _create_repo(self, repo_id: str, private: bool, repo_type: str) -> str:
        self.commits[repo_id], self.private[repo_id] = [{}], bool(private)
        return repo_id

    def _create_commit(
        self, repo_id: str, operations: list[CommitOperationAdd], commit_message: str,
        repo_type: str, revision: str | None,
    ) -> Any:  # fmt: skip
        added = {one.path_in_repo: one.path_or_fileobj for one in operations}
        self.commits[repo_id].append(self.commits[repo_id][-1] | added)

        class Commit:
            oid = self._oid(repo_id, len(self.commits[repo_id]) - 1)

        return Commit

    def _create_tag(self, repo_id: str, tag: str, revision: str, repo_type: str) -> None:
        self.tags[repo_id, tag] = self._number(repo_id, revision)

    def _list_repo_refs(self, repo_id: str, repo_type: str) -> GitRefs:
        names = [tag for repo, tag in self.tags if repo == repo_id]
        tags = [GitRefInfo(n, f"refs/tags/{n}", "0") for n in names]
        return GitRefs(branches=[], converts=[], tags=tags)

    def _model_info(
        self, repo_id: str, revision: str | None = None, files_metadata: bool = False
    ) -> ModelInfo:
        number = self._number(repo_id, revision)
        files = [
            {"rfilename": name, "size": len(content)}
            for name, content in self.commits[repo_id][number].items()
        ]
        return ModelInfo(
            id=repo_id,
            private=self.private[repo_id],
            sha=self._oid(repo_id, number),
            siblings=files,
        )

    def _hf_hub_download(
        self, repo_id: str, filename: str, repo_type: str, revision: str, local_dir: Path
    ) -> str:
        path = Path(local_dir) / filename
        path.write_bytes(self.commits[repo_id][self._number(repo_id, revision)][filename])
        return str(path)

    def _oid(self, repo_id: str, number: int) -> str:
        return f"{number:040x}"

    def _number(self, repo_id: str, revision: str | None) -> int:
        from huggingface_hub import errors

        if repo_id not in self.commits:
            raise errors.RepositoryNotFoundError("404", response=answer(404, "RepoNotFound"))
        if revision in (None, "main"):
            return len(self.commits[repo_id]) - 1
        if (repo_id, revision) in self.tags:
            return self.tags[repo_id, revision]
        for number in range(len(self.commits[repo_id])):
            if self._oid(repo_id, number) == revision:
                return number
        raise errors.RevisionNotFoundError("404", response=answer(404, "RevisionNotFound"))
