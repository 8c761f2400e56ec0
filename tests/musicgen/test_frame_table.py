"""Values over frames that are set while decoding."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tonearm.musicgen.frame_table import FrameTable


def table_of(*rows: list[float]) -> FrameTable:
    return FrameTable(torch.tensor(rows))


def test_the_last_value_holds_for_all_later_frames():
    table = table_of([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert [table.at(frame).tolist() for frame in (0, 2, 3, 10**6)] == [
        [1, 4],
        [3, 6],
        [3, 6],
        [3, 6],
    ]
    assert table.over(torch.tensor([0, 1, 2, 99])).tolist() == [[1, 2, 3, 3], [4, 5, 6, 6]]


def test_a_value_set_beyond_the_end_holds_from_its_frame_and_not_before():
    table = table_of([1.0], [2.0])
    table.set_from(0, 7, 9.0)
    frames = torch.tensor([0, 6, 7, 8, 500])
    assert table.over(frames).tolist() == [[1, 1, 9, 9, 9], [2, 2, 2, 2, 2]]


def test_a_value_set_within_the_table_replaces_all_later_ones_of_its_row():
    table = table_of([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    table.set_from(1, 1, 0.0)
    assert table.over(torch.arange(5)).tolist() == [[1, 2, 3, 3, 3], [4, 0, 0, 0, 0]]


def test_the_table_grows_in_proportion_to_the_frames():
    table = table_of([0.0])
    sizes = set()
    for frame in range(1000):
        table.set_from(0, frame, float(frame))
        sizes.add(table.values.shape[1])
    assert table.values.shape[1] <= 2048
    assert len(sizes) <= 12  # amortised: the size doubles
    assert table.over(torch.arange(1000)).tolist() == [list(range(1000))]


def test_each_row_keeps_the_value_at_its_last_frame():
    table = table_of([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0])
    table.hold_after([1, 2, 5])
    assert table.over(torch.arange(4)).tolist() == [[1, 1, 1, 1], [4, 5, 5, 5], [7, 8, 9, 9]]


@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=5),
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 40), st.floats(-9, 9, width=32)), max_size=8
    ),
)
def test_settings_equal_those_of_a_table_that_is_long_enough_from_the_start(first, settings):
    table = FrameTable(torch.tensor([first, first]))
    expected = torch.tensor([first + [first[-1]] * 60] * 2)
    for row, frame, value in settings:
        table.set_from(row, frame, value)
        expected[row, frame:] = value
    assert torch.equal(table.over(torch.arange(50)), expected[:, :50])
    assert torch.equal(table.at(33), expected[:, 33])
