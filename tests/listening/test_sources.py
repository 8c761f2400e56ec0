"""Material: of the run of a study, of comparisons, and of folders."""

from dataclasses import replace

import numpy as np
import pytest

from tests.listening.conftest import noise, write_takes
from tests.steering.vectors import vector_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.listening import Condition, parse_condition, read_material
from tonearm.steering import Control
from tonearm.studies.store import Store, StoredTrial
from tonearm.studies.stored_audio import StoredAudio


def run_with(folder, facts, study="test", text="a folk tune"):
    """A store with a take per facts."""
    with Store(folder) as store:
        store.set_study(study, {}, {})
        trials = []
        for number, one in enumerate(facts):
            key = f"{study}-{number}"
            store.add_take(key, {}, StoredAudio.of(noise(0.2, number)), None)
            trials.append(StoredTrial(key, ("signal",), {"text": text}, one))
        store.set_stage(study, "takes", trials)
    return folder


def settings(*names, prompts=3):
    return [
        {"setting": name, "prompt": prompt, "seed": 7 + prompt}
        for name in names
        for prompt in range(prompts)
    ]


def test_settings_of_a_run_are_conditions_and_prompts_with_their_seed_are_items(tmp_path):
    run_with(tmp_path, [*settings("plain", "fast"), *settings("random", prompts=2)])
    found = read_material([tmp_path])
    assert found.conditions == ("plain", "fast", "random")
    assert [item.name for item in found.items] == ["prompt 0, seed 7", "prompt 1, seed 8"]
    assert found.items[1].text == "a folk tune"
    take = found.items[1].takes["fast"]
    assert take.origin == "take test-4"
    assert np.array_equal(take.read().samples, StoredAudio.of(noise(0.2, 4)).clip.samples)


def test_conditions_by_facts_choose_takes_of_a_run(tmp_path):
    facts = [
        {"experiment": kind, "strength": strength, "drawn": True, "prompt": prompt, "seed": prompt}
        for kind, strength in (("plain", None), ("best", 0.5), ("best", 1.0))
        for prompt in range(2)
    ]
    run_with(tmp_path, facts)
    chosen = [
        parse_condition("plain=experiment:plain"),
        parse_condition("half=experiment:best, strength:0.50, drawn:true, stage:takes"),
    ]
    found = read_material([tmp_path], chosen)
    assert found.conditions == ("plain", "half")
    assert [item.takes["half"].origin for item in found.items] == ["take test-2", "take test-3"]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"experiment": "best"}, "two takes of prompt 0 and seed 0; choose one by strength"),
        ({"experiment": "nonsense"}, "experiment is plain, best"),
        ({"nonsense": "1"}, "no fact 'nonsense'; they have experiment, prompt, seed"),
        ({"experiment": "plain", "strength": "1"}, "no take .* has all facts"),
    ],
)
def test_conditions_that_do_not_choose_one_take_of_an_item_are_refused(tmp_path, condition, said):
    facts = [
        {"experiment": kind, "strength": strength, "prompt": 0, "seed": 0}
        for kind, strength in (("plain", 0), ("best", 0.5), ("best", 1.0))
    ]
    run_with(tmp_path, facts)
    with pytest.raises(TonearmError, match=said):
        read_material([tmp_path], [Condition("x", condition)])


def test_runs_without_audio_settings_or_shared_prompts_are_refused(tmp_path):
    bare = run_with(tmp_path / "bare", [{"prompt": 0, "seed": 0}])
    with pytest.raises(TonearmError, match="have no settings; choose conditions with --condition"):
        read_material([bare])
    apart = [{"setting": name, "prompt": i, "seed": i} for i, name in enumerate(("plain", "fast"))]
    with pytest.raises(TonearmError, match="'plain' has 1, 'fast' has 1"):
        read_material([run_with(tmp_path / "apart", apart)])
    silent = run_with(tmp_path / "silent", settings("plain", "fast"))
    for file in (silent / "audio").rglob("*.flac"):
        file.unlink()
    with pytest.raises(TonearmError, match="has no audio of takes"):
        read_material([silent])
    run_with(bare, settings("plain"), study="second")
    with pytest.raises(TonearmError, match="holds 'second', 'test'; choose one with --study"):
        read_material([bare])
    assert read_material([bare], study="second").conditions == ("plain",)
    with pytest.raises(TonearmError, match="no study 'third'; it has second, test"):
        read_material([bare], study="third")


def comparison(model, folder, strength, seed):
    """Takes and sidecars as `tonearm compare` saves them."""
    steer = {vector_of(model, "push", size=6.0): f"raw:{strength}"}
    for name, steering in (("plain", {}), ("steered-1", steer)):
        model.generate("a folk tune", steer=steering, seconds=0.5, seed=seed).save(
            folder / f"{name}.wav"
        )
    return folder


def test_comparisons_are_items_whose_conditions_are_their_steerings(melody, tmp_path):
    folders = [comparison(melody, tmp_path / f"c{seed}", 2, seed) for seed in (1, 2)]
    found = read_material(folders)
    assert found.conditions == ("plain", "push raw +2")
    assert [(item.name, item.text) for item in found.items] == [
        ("c1, seed 1", "a folk tune"),
        ("c2, seed 2", "a folk tune"),
    ]
    read = found.items[1].takes["push raw +2"].read()
    assert np.array_equal(read.samples, Clip.read(folders[1] / "steered-1.wav").samples)
    other = comparison(melody, tmp_path / "c3", 1, 1)
    with pytest.raises(TonearmError, match=r"push raw \+1.*give comparisons of the same steerings"):
        read_material([folders[0], other])


def test_a_live_take_is_named_by_the_steering_that_was_played(melody, tmp_path):
    folders = []
    for seed, strength in ((1, 2.0), (2, -2.0)):
        stream = melody.stream(
            "a folk tune",
            steer={vector_of(melody, "push", size=6.0): "raw:0"},
            seconds=1.0,
            chunk_seconds=0.1,
            seed=seed,
            twin=True,
        )
        for count, _ in enumerate(stream):
            if count == 1:
                stream.set(Control.strength("push", strength))
        folders.append(tmp_path / f"c{seed}")
        for name, take in (("plain", stream.plain_take), ("steered-1", stream.take)):
            take.save(folders[-1] / f"{name}.wav")
    assert read_material(folders[:1]).conditions == ("plain", "push raw 0 to +2.000")
    with pytest.raises(
        TonearmError, match=r"push raw -2.000 to 0, and .*give comparisons of the same"
    ):
        read_material(folders)


def test_a_folder_of_takes_has_the_prompts_of_their_user(melody, tmp_path):
    for condition in ("plain", "fast"):
        one = melody.generate("a folk tune", seconds=0.4, seed=1)
        written = one.provenance.model_copy(
            update={"prompt": f"{condition}, a folk tune", "requested_prompt": "a folk tune"}
        )
        replace(one, provenance=written).save(tmp_path / condition / "one.wav")
        two = melody.generate(
            "a folk tune", seconds=1.0, seed=1, sections=[(0.5, "a slow jazz piece")]
        )
        two.save(tmp_path / condition / "two.wav")
        noise(0.1, 0).write(tmp_path / condition / "foreign.wav")
    for name in ("one", "two", "foreign"):
        noise(0.1, 1).write(tmp_path / "reference" / f"{name}.wav")
    (tmp_path / "fast" / "foreign.json").write_text('{"prompt": "of another program"}')
    items = {item.name: item.text for item in read_material([tmp_path]).items}
    assert items == {"foreign": None, "one": "a folk tune", "two": None}
    (tmp_path / "fast" / "foreign.json").write_text('{"kind": "tonearm take"}')
    with pytest.raises(TonearmError, match=r"foreign\.json"):
        read_material([tmp_path])


def test_files_of_one_name_in_the_folders_of_conditions_are_an_item(takes):
    (takes / "fast" / "song-3.wav").unlink()
    (takes / "notes").mkdir()
    (takes / "notes" / "readme.txt").write_text("no audio")
    found = read_material([takes])
    assert found.conditions == ("fast", "plain", "random")
    assert [item.name for item in found.items] == ["song-0", "song-1", "song-2"]
    noise(0.1, 0).write(takes / "fast" / "song-0.flac")
    with pytest.raises(TonearmError, match=r"song-0.flac and song-0.wav; keep one"):
        read_material([takes])


def test_folders_without_something_to_compare_are_refused(tmp_path):
    takes = write_takes(tmp_path / "takes")
    with pytest.raises(TonearmError, match="no folder at"):
        read_material([tmp_path / "nowhere"])
    with pytest.raises(TonearmError, match=r"too few folders of audio to compare \(none\)"):
        read_material([takes / "plain"])
    with pytest.raises(TonearmError, match="several folders must all be comparisons"):
        read_material([takes, takes])
    with pytest.raises(TonearmError, match="--condition applies to the run of a study"):
        read_material([takes], [Condition("a", {})])
    for file in (takes / "fast").iterdir():
        file.rename(file.with_stem(file.stem + "-fast"))
    with pytest.raises(TonearmError, match="no file name is in every condition"):
        read_material([takes])


@pytest.mark.parametrize("text", ["", "fast", "fast=", "=a:1", "fast=a", "fast=:1", "x=a:1,a:2"])
def test_a_condition_without_name_or_facts_is_refused(text):
    with pytest.raises(TonearmError, match=r"condition|FACT"):
        parse_condition(text)
