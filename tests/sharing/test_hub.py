"""Push and pull: the files of a release, hashes and paths that are checked, one line for every fault."""

import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import HfApi, errors

from tests.sharing.fake_hub import FakeHub, answer
from tests.steering.vectors import random_vector
from tonearm.errors import TonearmError
from tonearm.sharing import hub
from tonearm.sharing.hub import pull, push, split_revision
from tonearm.steering import load_bundle, load_vector, save_bundle, save_vector

REPO = "me/knobs"
MELODY = "facebook/musicgen-melody"


@pytest.fixture
def api() -> FakeHub:
    return FakeHub()


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """A vector file and a bundle of two."""
    folder = tmp_path / "own"
    one = random_vector(name="tempo", checkpoint=MELODY)
    others = {name: random_vector(seed=i, checkpoint=MELODY) for i, name in enumerate("ab", 1)}
    return [save_vector(one, folder / "tempo"), save_bundle(others, folder / "pack")]


def refused(call, match: str) -> None:
    with pytest.raises(TonearmError, match=match) as error:
        call()
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def names_of(api: FakeHub, *calls: str) -> list[str]:
    return [name for name, _ in api.calls if name in calls] if calls else [n for n, _ in api.calls]


def test_a_push_writes_exactly_the_files_and_the_card_in_one_commit(api, files):
    done = push(REPO, files, private=True, tag="v1", api=api)
    assert names_of(api) == ["repo_exists", "create_repo", "create_commit", "create_tag"]
    (content,) = api.commits[REPO][1:]
    assert set(content) == {"tempo.safetensors", "pack.safetensors", "README.md"} == set(done.files)
    for path in files:
        assert content[path.name] == path.read_bytes()
    assert api.private[REPO] and api.tags == {(REPO, "v1"): 1}
    assert (done.commit, done.tag) == (f"{1:040x}", "v1")
    assert done.url == "https://huggingface.co/me/knobs"
    arguments = dict(api.calls)["create_commit"]
    assert (
        arguments["repo_type"] == "model"
        and dict(api.calls)["create_tag"]["revision"] == done.commit
    )
    assert f"{REPO}@v1" in content["README.md"].decode()


def test_a_repository_that_is_new_has_no_other_revision(api, files):
    """The hub would make it empty, and refuse the commit."""
    refused(lambda: push(REPO, files, revision="dev", api=api), "no revision 'dev'; push without")
    assert names_of(api) == ["repo_exists"]
    push(REPO, files, revision="main", api=api)
    assert len(api.commits[REPO]) == 2


def test_what_was_pushed_is_pulled_with_equal_hashes(api, files, tmp_path):
    push(REPO, files, tag="v1", api=api)
    done = pull(REPO, revision="v1", folder=tmp_path / "new", api=api)
    assert done.commit == f"{1:040x}"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "pack.safetensors", "tempo.safetensors",
    ]  # fmt: skip
    assert load_vector(tmp_path / "new/tempo.safetensors").info == load_vector(files[0]).info
    before, after = load_bundle(files[1]), load_bundle(tmp_path / "new/pack.safetensors")
    assert {n: v.content_hash() for n, v in before.items()} == {
        n: v.content_hash() for n, v in after.items()
    }
    assert {path.name: list(named) for path, named in done.files.items()} == {
        "pack.safetensors": ["a", "b"], "tempo.safetensors": ["tempo"],
    }  # fmt: skip


def test_a_tag_pins_the_files_that_it_was_made_for(api, files, tmp_path):
    push(REPO, files, tag="v1", api=api)
    changed = save_vector(random_vector(seed=9, checkpoint=MELODY), files[0])
    push(REPO, [changed, files[1]], tag="v2", api=api)
    for tag, seed in (("v1", 0), ("v2", 9), ("main", 9)):
        pull(REPO, ["tempo"], revision=tag, folder=tmp_path / tag, api=api)
        found = load_vector(tmp_path / tag / "tempo.safetensors")
        assert found.content_hash() == random_vector(seed=seed, checkpoint=MELODY).content_hash()
    refused(lambda: push(REPO, files, tag="v1", api=api), "has a tag 'v1' already, .* not moved")
    assert len(api.commits[REPO]) == 3  # nothing was written


def test_one_file_is_pulled_by_its_name(api, files, tmp_path):
    push(REPO, files, api=api)
    for name in ("tempo", "tempo.safetensors"):
        folder = tmp_path / name.replace(".", "-")
        assert [p.name for p in pull(REPO, [name], folder=folder, api=api).files] == [
            "tempo.safetensors"
        ]
    refused(lambda: pull(REPO, ["mood"], folder=tmp_path, api=api),
            "holds no mood.safetensors; there are tempo, pack")  # fmt: skip


def test_a_vector_of_another_checkpoint_is_pulled_and_refused_at_use(api, tmp_path, melody):
    push(REPO, [save_vector(random_vector(layers=3, width=32), tmp_path / "v")], api=api)
    (path,) = pull(REPO, folder=tmp_path / "new", api=api).files
    with pytest.raises(TonearmError, match="was made for"):
        melody.generate("a tune", steer=f"{path}=raw:1", seconds=0.2, seed=1)


def test_existing_files_are_overwritten_only_with_force(api, files, tmp_path):
    push(REPO, files, api=api)
    (tmp_path / "tempo.safetensors").write_text("mine")
    refused(lambda: pull(REPO, folder=tmp_path, api=api), "exists already; .* --force")
    assert names_of(api, "hf_hub_download") == []
    assert not (tmp_path / "pack.safetensors").exists()
    pull(REPO, folder=tmp_path, force=True, api=api)
    assert load_vector(tmp_path / "tempo.safetensors").name == "tempo"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../evil.safetensors", "leads out of its folder"),
        ("a/../../evil.safetensors", "leads out of its folder"),
        ("/etc/evil.safetensors", "leads out of its folder"),
        ("..\\evil.safetensors", "leads out of its folder"),
        ("C:\\evil.safetensors", "leads out of its folder"),
    ],
)
def test_a_listed_path_that_leads_out_of_the_folder_is_refused(api, files, tmp_path, path, message):
    push(REPO, files, api=api)
    api.commits[REPO][-1][path] = files[0].read_bytes()
    refused(lambda: pull(REPO, folder=tmp_path / "new", api=api), message)
    assert names_of(api, "hf_hub_download") == [] and not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", "", " ", "x\x1b", "a=b"])
def test_a_wanted_name_is_no_path(api, files, tmp_path, name):
    push(REPO, files, api=api)
    refused(lambda: pull(REPO, [name], folder=tmp_path / "new", api=api), "the name|holds no")
    assert names_of(api, "hf_hub_download") == []


@pytest.mark.parametrize("name", ["model.bin", "x.pt", "x.pkl", "x.gguf", "README.md"])
def test_other_files_than_safetensors_are_never_pulled(api, files, tmp_path, name):
    push(REPO, files, api=api)
    api.commits[REPO][-1][name] = pickle.dumps({})
    refused(lambda: pull(REPO, [name], folder=tmp_path, api=api), "is no .safetensors file; only")
    pull(REPO, folder=tmp_path / "all", api=api)
    assert {given["filename"] for name, given in api.calls if name == "hf_hub_download"} == {
        "tempo.safetensors", "pack.safetensors",
    }  # fmt: skip


def test_a_damaged_file_is_refused_and_nothing_is_written(api, files, tmp_path):
    push(REPO, files, api=api)
    content = bytearray(api.commits[REPO][-1]["tempo.safetensors"])
    content[-1] ^= 1  # of a direction
    api.commits[REPO][-1]["tempo.safetensors"] = bytes(content)
    refused(lambda: pull(REPO, folder=tmp_path / "new", api=api),
            "tempo.safetensors of me/knobs is damaged: .* content hash.*; nothing was written")  # fmt: skip
    assert not (tmp_path / "new").exists()
    api.commits[REPO][-1]["tempo.safetensors"] = pickle.dumps({"a": 1})
    refused(lambda: pull(REPO, ["tempo"], folder=tmp_path / "new", api=api), "as safetensors")


def test_a_large_file_is_refused_before_it_is_downloaded(api, files, tmp_path, monkeypatch):
    push(REPO, files, api=api)
    monkeypatch.setattr(hub, "MAX_BYTES", 100)
    refused(lambda: pull(REPO, folder=tmp_path, api=api), "is larger than 0 MiB, the limit")
    assert names_of(api, "hf_hub_download") == []


def test_a_repository_without_vectors_is_refused(api, files, tmp_path):
    push(REPO, files, api=api)
    api.commits[REPO][-1] = {"README.md": b"", "sub/tempo.safetensors": files[0].read_bytes()}
    refused(lambda: pull(REPO, folder=tmp_path, api=api), "holds no .safetensors files")


def test_a_release_is_whole(api, files):
    """So that the card is true and a tag pins all vectors of a repository."""
    push(REPO, files, api=api)
    refused(
        lambda: push(REPO, files[:1], api=api), "also holds pack.safetensors; pull and push them"
    )
    assert len(api.commits[REPO]) == 2
    push(REPO, files, api=api)
    api.commits["me/model"] = [{"model.safetensors": b""}]
    api.private["me/model"] = False
    refused(lambda: push("me/model", files, api=api), "also holds model.safetensors")


def test_a_public_repository_is_not_taken_for_a_private_one(api, files):
    push(REPO, files, api=api)
    refused(lambda: push(REPO, files, private=True, api=api), "exists and is public")
    assert len(api.commits[REPO]) == 2


@pytest.mark.parametrize(
    ("repository", "options", "message"),
    [
        ("knobs", {}, "no repository of the hub; write owner/name"),
        ("me/knobs/more", {}, "write owner/name"),
        ("../knobs", {}, "write owner/name"),
        (REPO, {"tag": "a b"}, "the tag 'a b' is not possible"),
        (REPO, {"tag": "../v1"}, "the tag '../v1' is not possible"),
        (REPO, {"revision": ""}, "the revision '' is not possible"),
        (REPO, {"licence": "My Licence"}, "the licence 'My Licence' is not possible"),
        (REPO, {"base_model": "musicgen"}, "'musicgen' is no hub id"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_sent(api, files, repository, options, message):
    refused(lambda: push(repository, files, **options, api=api), message)
    assert not api.calls


def test_files_that_are_no_vectors_are_not_pushed(api, files, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"x")
    (tmp_path / "x.pt").write_bytes(pickle.dumps({}))
    twin = save_vector(random_vector(), tmp_path / "twin" / "tempo")
    odd = save_vector(random_vector(), tmp_path / "a=b")
    for given, message in (
        ([tmp_path / "x.safetensors"], "as safetensors"),
        ([tmp_path / "x.pt"], "does not end in .safetensors"),
        ([files[0], twin], "two files are called tempo.safetensors"),
        ([odd], "its name holds '='"),
        ([], "a push of 0 files"),
        ([tmp_path / "absent.safetensors"], "no steering vector at"),
    ):
        refused(lambda given=given: push(REPO, given, api=api), message)
    assert not api.calls


def test_licences_that_differ_are_asked_for(api, tmp_path):
    given = [
        save_vector(random_vector(checkpoint=name), tmp_path / name.replace("/", "-"))
        for name in ("pocket", MELODY)
    ]
    refused(lambda: push(REPO, given, api=api), r"several licences \(apache-2.0, cc-by-nc-4.0\)")
    push(REPO, given, licence="other", api=api)
    assert 'license: "other"' in api.commits[REPO][-1]["README.md"].decode()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE .* is set; unset it"),
        (errors.LocalTokenNotFoundError("none"), "no token of the hub; run `hf auth login`"),
        (
            errors.RepositoryNotFoundError("404\n\nmore", response=answer(404)),
            "no model repository",
        ),
        (errors.GatedRepoError("403", response=answer(403)), "is gated; accept its terms"),
        (errors.RevisionNotFoundError("404", response=answer(404)), "has no revision 'v9'"),
        (errors.HfHubHTTPError("401", response=answer(401)), "does not know the token"),
        (errors.HfHubHTTPError("403", response=answer(403)), "the token may not write to me/knobs"),
        (errors.HfHubHTTPError("500\nx", response=answer(500)), r"refuses the request .*\(500\)"),
        (errors.HTTPError("no route\nto host"), r"cannot reach the hub \(no route\)"),
        (ConnectionError("reset"), r"cannot exchange files with me/knobs \(reset\)"),
        (ValueError("bad card"), r"\(bad card\); try again"),
    ],
)
def test_every_fault_of_the_hub_is_one_line(api, files, tmp_path, error, message):
    api.fail["model_info"] = error
    refused(lambda: pull(REPO, revision="v9", folder=tmp_path / "new", api=api), message)
    api.fail = {"create_commit": error}
    of_main = message.replace("v9", "main")
    refused(lambda: push(REPO, files, revision="main", api=api), of_main)
    assert not (tmp_path / "new").exists()


def test_without_a_token_nothing_is_sent(files, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    api = FakeHub(token=None)
    refused(
        lambda: push(REPO, files, api=api), "no token of the hub; run `hf auth login`, or set HF"
    )
    assert not api.calls


def test_an_interrupt_is_no_fault_of_the_hub(api, files):
    api.fail["create_commit"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        push(REPO, files, api=api)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("me/knobs", ("me/knobs", None)), ("me/knobs@v1", ("me/knobs", "v1")), ("a/b@", ("a/b", ""))],
)
def test_a_revision_follows_an_at_sign(text, parts):
    assert split_revision(text) == parts


ANSWERS = {
    "me/absent": (404, "RepoNotFound"),
    "me/gated": (403, "GatedRepo"),
    "me/old": (404, "RevisionNotFound"),
    "me/broken": (500, ""),
}


class _Hub(BaseHTTPRequestHandler):
    """Answers every request with the status and the code of the repository in its path."""

    def do_GET(self) -> None:
        status, code = next(one for repo, one in ANSWERS.items() if repo in self.path)
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    found = HTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("repository", "message"),
    [
        ("me/absent", "no model repository me/absent on the hub"),
        ("me/gated", "me/gated is gated"),
        ("me/old", "me/old has no revision 'v1'"),
        ("me/broken", "the hub refuses the request for me/broken"),
    ],
)
def test_the_real_client_meets_the_faults_of_a_server(
    server, tmp_path, repository, message, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    api = HfApi(endpoint=server, token=False)
    refused(lambda: pull(repository, revision="v1", folder=tmp_path, api=api), message)


def test_the_real_client_without_a_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    api = HfApi(endpoint="http://127.0.0.1:9", token=False)  # the port of `discard`
    refused(lambda: pull(REPO, folder=tmp_path, api=api), "cannot reach the hub")


def test_offline_nothing_is_sent(files, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for call in (lambda: pull(REPO), lambda: push(REPO, files)):
        refused(call, "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it to reach the hub")
