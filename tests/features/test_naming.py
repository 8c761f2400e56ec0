"""Names of features on planted activity."""

import json

import numpy as np
import pytest
import torch

from tests.features.planted import autoencoder_of
from tonearm.errors import TonearmError
from tonearm.features.labels import Labels
from tonearm.features.naming import Naming, name_features, save_naming
from tonearm.features.tracks import TrackActivity

TRACKS, FEATURES, LABELS = 120, 48, 40
JAZZ, DARK, NOISE = 5, 9, 20  # features


@pytest.fixture
def trained(melody):
    return autoencoder_of(melody.shape, features=FEATURES)


def planted(seed=0, strength=3.0):
    """Feature JAZZ follows label 3, DARK falls with label 7; all other features are noise."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(TRACKS, LABELS))
    means = np.abs(rng.normal(size=(TRACKS, FEATURES)))
    shares = np.zeros((TRACKS, FEATURES))
    for feature in range(FEATURES):
        shares[rng.permutation(TRACKS)[:20], feature] = 0.1  # on 17 % of the tracks
    means[:, JAZZ] = np.abs(rng.normal(size=TRACKS)) + strength * (values[:, 3] > 0.5)
    means[:, DARK] = np.abs(rng.normal(size=TRACKS)) + strength * (values[:, 7] < -0.5)
    tracks = tuple(f"track {number}" for number in range(TRACKS))
    activity = TrackActivity(tracks, torch.from_numpy(means), torch.from_numpy(shares))
    return activity, Labels(tuple(f"label {number}" for number in range(LABELS)), values)


def test_planted_features_get_their_names_and_the_others_none(trained):
    activity, labels = planted()
    naming = name_features(trained, activity, labels)
    named = {one.feature: one for one in naming.named}
    assert named[JAZZ].label == "label 3" and named[JAZZ].rho > 0.4
    assert named[DARK].label == "label 7" and named[DARK].rho < -0.4
    assert len(named) <= 4  # two of 46 by chance at most
    for feature in (JAZZ, DARK):
        assert named[feature].is_confirmed
        assert named[feature].held_out * named[feature].rho > 0
    assert naming.tracks == 120 and naming.naming_tracks == 80
    assert naming.content_hash == trained.content_hash()


def test_labels_of_other_tracks_name_nothing(trained):
    """The same activity with the labels permuted."""
    activity, labels = planted()
    order = np.random.default_rng(5).permutation(TRACKS)
    naming = name_features(trained, activity, Labels(labels.names, labels.values[order]))
    assert not naming.named
    assert len(naming.names) == FEATURES  # they are listed, unnamed
    assert min(one.p for one in naming.names) > 1 / 1001


def test_the_p_value_allows_for_the_choice_among_labels(trained):
    """Against the best of 40 labels, the usual p of the best correlation is far too small."""
    activity, labels = planted(strength=0.0)
    naming = name_features(trained, activity, labels)
    p = np.array([one.p for one in naming.names])
    assert 0.3 < np.median(p) < 0.7
    assert (p <= 0.05).mean() < 0.15
    strongest = max(abs(one.rho) for one in naming.names)
    assert strongest > 0.33  # p of about 0.003 for one label alone, 80 tracks


def test_rare_and_frequent_features_get_no_name(trained):
    activity, labels = planted()
    shares = activity.shares.clone()
    shares[:, JAZZ] = 0.0
    shares[:, DARK] = 0.1
    naming = name_features(trained, TrackActivity(activity.tracks, activity.means, shares), labels)
    assert not {JAZZ, DARK} & {one.feature for one in naming.names}
    assert all(0.01 <= one.tracks <= 0.25 for one in naming.names)


def test_undefined_labels_are_left_out_of_a_correlation(trained):
    activity, labels = planted()
    values = labels.values.copy()
    values[::10, 3] = np.nan
    values[::3, 7] = np.nan  # too many
    values[:, 8] = 1.0
    naming = name_features(trained, activity, Labels(labels.names, values))
    assert {"label 7", "label 8"} & set(naming.labels) == set()
    named = {one.feature: one.label for one in naming.named}
    assert named[JAZZ] == "label 3"


def test_a_constant_feature_gets_no_name(trained):
    activity, labels = planted()
    activity.means[:, JAZZ] = 0.0
    naming = name_features(trained, activity, labels)
    assert JAZZ not in {one.feature for one in naming.names}


def test_no_candidate_is_no_error(trained):
    activity, labels = planted()
    silent = TrackActivity(activity.tracks, activity.means, torch.zeros_like(activity.shares))
    assert name_features(trained, silent, labels).names == ()


def test_too_few_tracks_and_constant_labels_are_refused(trained):
    activity, labels = planted()
    few = TrackActivity(activity.tracks[:20], activity.means[:20], activity.shares[:20])
    with pytest.raises(TonearmError, match="20 tracks are too few for names; give 30 or more"):
        name_features(trained, few, Labels(labels.names, labels.values[:20]))
    constant = Labels(labels.names, np.ones_like(labels.values))
    with pytest.raises(TonearmError, match="no label varies"):
        name_features(trained, activity, constant)


def test_names_are_written_as_json(trained, tmp_path):
    naming = name_features(trained, *planted())
    save_naming(naming, tmp_path / "names.json")
    content = json.loads((tmp_path / "names.json").read_text())
    assert Naming(**content) == naming
