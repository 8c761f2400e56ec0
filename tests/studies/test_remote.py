"""Takes on a local Ray cluster of two workers, of which one is killed midway."""

import os
import signal

import pytest

from tests.steering.vectors import vector_of
from tonearm import Steer, Steering, TakeRequest, TonearmError
from tonearm.studies import remote
from tonearm.studies.plan import Study, Trial
from tonearm.studies.remote import LOCAL, Cluster, ModelSource, make_takes
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow
PROMPTS = ["a folk tune", "a jazz tune", "calm"] * 4


@pytest.fixture(scope="module")
def cluster_of_two():
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture
def study(melody):
    steering = Steering(steers=(Steer(vector="push", strength=2.0, source_layer=1),))
    trials = [
        Trial(TakeRequest(prompt, i, steering, seconds=0.6), {"prompt": i}, ("signal",))
        for i, prompt in enumerate(PROMPTS)
    ]
    vectors = {"push": vector_of(melody, "push")}
    return Study("test", {"takes": lambda found: trials}, vectors)


def cluster(melody, folder_of, fingerprint=None):
    source = ModelSource(
        str(folder_of("melody")), "cpu", None, fingerprint or melody.shape.fingerprint
    )
    return Cluster(LOCAL, source)


def takes(study, melody, folder, cluster):
    """Codes and audio by prompt."""
    with Store(folder) as store:
        settings = Settings(workers=0, batch_size=3, cluster=cluster)
        records = run(study, melody, store, settings)
        return {
            record["prompt"]: (
                store.codes(record["take"]).tobytes(),
                store.clip(record["take"]).samples.tobytes(),
                record["loudness"],
            )
            for record in records
        }


def dies_once(marker):
    """A task that kills its worker the second time that any task begins."""

    def task(source, orders, vectors, batch_size):
        try:
            with marker.open("x"):
                pass
        except FileExistsError:
            second = marker.with_suffix(".second")
            if not second.exists():
                second.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return make_takes(source, orders, vectors, batch_size)

    return task


def test_a_killed_worker_changes_no_take(
    melody, folder_of, study, tmp_path, monkeypatch, cluster_of_two
):
    workers = cluster(melody, folder_of)
    undisturbed = takes(study, melody, tmp_path / "a", workers)
    assert len(undisturbed) == len(PROMPTS)
    monkeypatch.setattr(remote, "make_takes", dies_once(tmp_path / "marker"))
    disturbed = takes(study, melody, tmp_path / "b", workers)
    assert (tmp_path / "marker.second").exists() and disturbed == undisturbed
    here = takes(study, melody, tmp_path / "c", None)
    assert here == undisturbed


def test_another_checkpoint_on_a_worker_is_refused(
    melody, folder_of, study, tmp_path, cluster_of_two
):
    with pytest.raises(TonearmError, match="has the fingerprint"):
        takes(study, melody, tmp_path, cluster(melody, folder_of, "0" * 16))
