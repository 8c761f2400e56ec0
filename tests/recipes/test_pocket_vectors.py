"""Recipe of the bundled vectors: the direction of drums."""

from recipes.pocket import vectors

from tests.activations.sounds import noise_clip


def test_both_renderings_of_a_piece_are_recordings_of_one_piece(melody, monkeypatch):
    clips = [[noise_clip(0.5, seed) for seed in seeds] for seeds in (range(3), range(3, 6))]
    given = []
    monkeypatch.setattr(vectors, "drum_pairs", lambda: clips)
    monkeypatch.setattr(
        vectors, "learn_from_audio", lambda *arguments, **_: given.append(arguments)
    )
    vectors.learned(melody, "drums")
    ((_, with_drums, without, _),) = given
    assert [one.read() for one in (*with_drums, *without)] == [*clips[0], *clips[1]]
    assert [one.piece for one in with_drums] == [one.piece for one in without]
    assert len({one.piece for one in with_drums}) == 3
    assert len({one.track for one in (*with_drums, *without)}) == 6
