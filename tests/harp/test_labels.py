"""Labels: the list that HARP reads."""

from tonearm.harp.labels import ORANGE, Label, label_list


def test_a_list_is_recognised_by_its_type_and_its_labels_by_theirs():
    listed = label_list([Label(1.23456, 2.0, "new", "seed 3", ORANGE)])
    assert listed["meta"] == {"_type": "pyharp.LabelList"}
    (label,) = listed["labels"]
    assert (label["label_type"], label["t"], label["duration"]) == ("AudioLabel", 1.235, 2.0)
    assert (label["label"], label["description"]) == ("new", "seed 3")
    assert label["color"] == 0x80D68910  # alpha, red, green, blue
