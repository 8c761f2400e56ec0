"""Clips: reading and writing, loudness, refusal of unusable files."""

import errno
import math
import os
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonearm.audio import Clip, check_audible
from tonearm.errors import TonearmError


def sine(
    seconds: float = 1.0,
    rate: int = 16_000,
    size: float = 0.25,
    channels: int = 1,
    hertz: float = 997.0,
) -> Clip:
    samples = size * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Clip(np.stack([samples] * channels), rate)


@pytest.mark.parametrize("channels", [1, 2])
def test_wav_reads_back_bit_for_bit(tmp_path, channels):
    samples = np.random.default_rng(0).standard_normal((channels, 500)).astype(np.float32)
    samples[0, :4] = [-0.0, 1e-42, 1.5, -2.0]  # beyond full scale too
    clip = Clip(samples, 32_000)
    again = Clip.read(clip.write(tmp_path / "x.wav"))
    assert again.sample_rate == 32_000 and again.samples.tobytes() == clip.samples.tobytes()


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".FLAC"])
def test_other_formats_read_back_approximately(tmp_path, suffix):
    clip = sine(channels=2)
    again = Clip.read(clip.write(tmp_path / f"x{suffix}"))
    assert again.samples.shape == clip.samples.shape and again.sample_rate == clip.sample_rate
    assert np.abs(again.samples - clip.samples).max() < (1e-4 if suffix != ".ogg" else 0.05)


def test_shapes_and_lengths():
    assert Clip(np.zeros(8), 4).samples.shape == (1, 8) and Clip(np.zeros((2, 8)), 4).seconds == 2.0
    assert Clip(np.array([[1.0, 0.0], [0.0, 0.5]]), 4).mono.tolist() == [0.5, 0.25]
    for shape in ((0, 8), (1, 2, 3), ()):
        with pytest.raises(TonearmError, match="channels, samples"):
            Clip(np.zeros(shape), 4)


def test_resampling_keeps_length_pitch_and_identity():
    clip = sine(rate=44_100, channels=2, hertz=1000)
    assert clip.resampled(44_100) is clip
    lower = clip.resampled(16_000)
    assert lower.samples.shape == (2, 16_000) and lower.sample_rate == 16_000
    assert np.abs(np.fft.rfft(lower.samples[0])).argmax() == 1000


def test_loudness_is_that_of_the_reference_of_the_standard():
    """BS.1770: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LUFS."""
    assert sine(2.0, 48_000, size=1.0).loudness == pytest.approx(-3.01, abs=0.05)
    assert sine(2.0, 48_000, size=0.1).loudness == pytest.approx(-23.01, abs=0.05)


def test_silent_and_very_short_clips_have_no_loudness_and_are_not_changed():
    for clip in (Clip(np.zeros(16_000), 16_000), sine(0.3)):
        assert clip.loudness == -math.inf and clip.loudness_matched() is clip


def test_matched_loudness_is_the_target_unless_a_peak_would_clip():
    assert sine(size=0.01).loudness_matched(-20).loudness == pytest.approx(-20, abs=0.05)
    spiky = sine(size=0.01).samples.copy()
    spiky[0, 100] = 0.9
    matched = Clip(spiky, 16_000).loudness_matched(-20)
    assert np.abs(matched.samples).max() == pytest.approx(0.98) and matched.loudness < -20


def test_unreadable_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    for name, message in (
        ("absent.wav", "no audio file"),
        ("text.wav", "as audio"),
        ("empty.wav", "as audio"),
        ("none.wav", "no samples"),
        ("nan.wav", "NaN"),
        ("", "no audio file"),
    ):
        with pytest.raises(TonearmError, match=message) as error:
            Clip.read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("x.mp3", "x", "file/x.wav"):
        with pytest.raises(TonearmError, match="cannot write"):
            sine().write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_rolled_clip_continues_with_its_beginning():
    clip = Clip(np.arange(10, dtype=np.float32)[None], 5)
    assert clip.rolled(0.4).samples[0].tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert clip.rolled(2.4).samples[0].tolist() == clip.rolled(0.4).samples[0].tolist()


FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def noise_file(path: Path, form: str, subtype: str, count: int = 480_001) -> Path:
    samples = 0.1 * np.random.default_rng(0).standard_normal(count)
    soundfile.write(path, samples, 48_000, format=form, subtype=subtype)
    return path


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_the_content_of_a_file_of_any_format_is_decoded_as_the_file_is(tmp_path, form, subtype):
    path = noise_file(tmp_path / "whole", form, subtype, 48_000)
    content = path.read_bytes()
    read, decoded = Clip.read(path), Clip.decode(content, "x")
    assert read.sample_rate == decoded.sample_rate
    np.testing.assert_array_equal(read.samples, decoded.samples)
    with pytest.raises(TonearmError, match="row 3 of x"):
        Clip.decode(content[: len(content) // 2], "row 3 of x")


@pytest.mark.parametrize("content", [b"", b"no audio at all", "text", None])
def test_content_that_is_no_audio_is_refused(content):
    with pytest.raises(TonearmError, match=r"row 3|content"):
        Clip.decode(content, "row 3")


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.97])
def test_a_truncated_file_of_any_format_is_refused(tmp_path, form, subtype, share):
    whole = noise_file(tmp_path / "whole", form, subtype)
    assert Clip.read(whole).samples.shape[1] >= 480_000
    content = whole.read_bytes()
    (tmp_path / "cut").write_bytes(content[: round(len(content) * share)])
    with pytest.raises(TonearmError, match=r"is cut off|cannot read") as error:
        Clip.read(tmp_path / "cut")
    assert form == "FLAC" or "is cut off" in str(error.value)


@pytest.mark.parametrize("tag", [b"ID3\x04\0\0\0\0\x02\x01" + bytes(257), b""])
def test_a_truncated_mp3_file_with_a_tag_is_refused(tmp_path, tag):
    content = noise_file(tmp_path / "x.mp3", "MP3", "MPEG_LAYER_III").read_bytes()
    (tmp_path / "whole.mp3").write_bytes(tag + content)
    assert Clip.read(tmp_path / "whole.mp3").seconds > 9.9
    (tmp_path / "cut.mp3").write_bytes(tag + content[: len(content) // 2])
    with pytest.raises(TonearmError, match="is cut off"):
        Clip.read(tmp_path / "cut.mp3")


def without_first_frame(mp3: bytes) -> bytes:
    """The file without the frame that states its length."""
    start = mp3.index(mp3[:2], 100)
    assert b"Info" in mp3[:start] or b"Xing" in mp3[:start]
    return mp3[start:]


@pytest.mark.parametrize("rate", [44_100, 48_000, 24_000, 8000])
def test_a_truncated_mp3_file_that_states_no_length_is_refused(tmp_path, rate):
    samples = 0.1 * np.random.default_rng(0).standard_normal(5 * rate)
    soundfile.write(tmp_path / "x.mp3", samples, rate)
    content = without_first_frame((tmp_path / "x.mp3").read_bytes())
    whole = tmp_path / "whole.mp3"
    for tag in (b"", b"TAG" + bytes(125), b"\0\0\0"):
        whole.write_bytes(content + tag)
        assert Clip.read(whole).seconds == pytest.approx(5, abs=0.15)  # of varying bit rate
    for tag in (b"", b"ID3\x04\0\0\0\0\x02\x01" + bytes(257)):
        (tmp_path / "cut.mp3").write_bytes(tag + content[: len(content) * 3 // 5 + 5])
        with pytest.raises(TonearmError, match="is cut off"):
            Clip.read(tmp_path / "cut.mp3")


def test_a_truncated_wav_file_with_long_chunks_before_its_samples_is_refused(tmp_path):
    content = noise_file(tmp_path / "x.wav", "WAV", "PCM_16", 4000).read_bytes()
    notes = b"LIST" + (200_000).to_bytes(4, "little") + bytes(200_000)
    (tmp_path / "whole.wav").write_bytes(content[:12] + notes + content[12:])
    assert Clip.read(tmp_path / "whole.wav").samples.shape == (1, 4000)
    (tmp_path / "cut.wav").write_bytes(content[:12] + notes + content[12:-1000])
    with pytest.raises(TonearmError, match="last 999 bytes"):
        Clip.read(tmp_path / "cut.wav")


def with_bytes(path: Path, place: int, content: bytes) -> Path:
    whole = bytearray(path.read_bytes())
    whole[place : place + len(content)] = content
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_a_file_with_a_sample_rate_of_no_music_is_refused(tmp_path, rate):
    path = noise_file(tmp_path / "x.wav", "WAV", "PCM_16", 4000)
    with pytest.raises(TonearmError, match=f"{rate} Hz; give a file of 1000 to 1000000 Hz"):
        Clip.read(with_bytes(path, 24, rate.to_bytes(4, "little")))


def test_a_clip_too_long_for_another_sample_rate_is_refused():
    clip = Clip(np.zeros((2, 1_000_000)), 1)
    with pytest.raises(TonearmError, match="too long for 32000 Hz"):
        clip.resampled(32_000)


def refused_without_memory(path: Path, message: str) -> None:
    tracemalloc.start()
    begin = time.monotonic()
    with pytest.raises(TonearmError, match=message) as error:
        Clip.read(path)
    assert "\n" not in str(error.value)
    assert time.monotonic() - begin < 5 and tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


STREAM_INFO_LENGTH = 21  # place of the last four bytes, of 36 bits, in a FLAC file


@pytest.mark.parametrize(
    ("length", "message"),
    [(2**32 - 1, r"24.9 hours.*parts of 3.11 hours \(2 GiB\)"), (0, "no length")],
)
def test_a_small_file_that_states_hours_is_refused_before_memory_is_reserved(
    tmp_path, length, message
):
    path = noise_file(tmp_path / "x.flac", "FLAC", "PCM_16", 4000)
    with_bytes(path, STREAM_INFO_LENGTH + 1, length.to_bytes(4, "big"))
    refused_without_memory(path, message)


@pytest.mark.parametrize("stated", [0, 2**32 - 1], ids=["0", "to the end"])
def test_a_sparse_file_of_gigabytes_is_refused_before_memory_is_reserved(tmp_path, stated):
    path = noise_file(tmp_path / "x.wav", "WAV", "PCM_16", 4000)
    with_bytes(path, 40, stated.to_bytes(4, "little"))
    os.truncate(path, 2**33)
    refused_without_memory(path, "GiB in memory; cut it into parts")


def test_a_file_of_empty_chunks_is_refused_in_time(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    os.truncate(tmp_path / "x.wav", 2**33)
    refused_without_memory(tmp_path / "x.wav", "as audio")


def test_a_device_is_no_audio_file():
    refused_without_memory(Path("/dev/zero"), "no audio file")


@pytest.mark.parametrize("path", [None, 3, b"x.wav", "a\0b", ""])
def test_a_path_of_another_type_is_refused(path):
    with pytest.raises(TonearmError, match="path"):
        Clip.read(path)


def damaged_mp3(path: Path) -> Path:
    content = bytearray(noise_file(path, "MP3", "MPEG_LAYER_III").read_bytes())
    for place in range(3000, len(content) - 3000, 97):
        content[place] ^= 0xFF
    path.write_bytes(content)
    return path


def test_the_decoder_prints_nothing_about_a_damaged_mp3_file(tmp_path, capfd):
    path = damaged_mp3(tmp_path / "x.mp3")
    soundfile.read(path)
    assert "libmpg123" in capfd.readouterr().err
    with pytest.raises(TonearmError, match=r"is damaged: .* s of 10 s can be decoded"):
        Clip.read(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["x.mp3", "x.MP3"])
def test_a_text_with_the_ending_of_mp3_is_refused_without_messages_of_the_decoder(
    tmp_path, capfd, name
):
    (tmp_path / name).write_bytes(b"no music at all" * 300)
    with pytest.raises(TonearmError, match="cannot read"):
        Clip.read(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_text_that_others_print_while_an_mp3_file_is_decoded_is_kept(tmp_path, capfd, monkeypatch):
    path = damaged_mp3(tmp_path / "x.mp3")
    read = soundfile.SoundFile.read

    def read_and_print(*args, **options):
        os.write(2, b"Note: from a thread\n")
        samples = read(*args, **options)
        os.write(2, b"Warning: half a line")
        return samples

    monkeypatch.setattr(soundfile.SoundFile, "read", read_and_print)
    with pytest.raises(TonearmError, match="is damaged"):
        Clip.read(path)
    assert capfd.readouterr().err == "Note: from a thread\nWarning: half a line"


def test_threads_decode_mp3_files_at_the_same_time_without_messages(tmp_path, capfd):
    path = damaged_mp3(tmp_path / "x.mp3")

    def read(_):
        with pytest.raises(TonearmError, match="is damaged"):
            Clip.read(path)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(read, range(16)))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_an_error_of_the_decoder_restores_stderr(tmp_path, capfd):
    (tmp_path / "x.mp3").write_bytes(b"ID3\x04" + bytes(100))
    with pytest.raises(TonearmError, match="as audio"):
        Clip.read(tmp_path / "x.mp3")
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0, None),
        (2**32 - 1, None),
        (0, 0),
        (2**32 - 1, 2**32 - 1),
        (2**32 - 1, 2**32 - 1 - 36),
        (2**31 - 1, 2**31 - 1 - 36),
        (2**31 + 36, 2**31),
        (0x7FFFF024, 0x7FFFF000),
        (0x7FFF0024, 0x7FFF0000),
        (36, 0),
    ],
)
def test_a_wav_file_with_dummy_sizes_from_a_pipe_is_read(tmp_path, riff, data):
    path = noise_file(tmp_path / "piped.wav", "WAV", "PCM_16", 4000)
    whole = bytearray(path.read_bytes())
    assert whole[36:40] == b"data"
    whole[4:8] = riff.to_bytes(4, "little")
    if data is not None:
        whole[40:44] = data.to_bytes(4, "little")
    path.write_bytes(whole)
    assert Clip.read(path).samples.shape == (1, 4000)
    assert Clip.decode(bytes(whole), "piped").samples.shape == (1, 4000)


def test_files_of_other_formats_with_dummy_sizes_are_read(tmp_path):
    path = noise_file(tmp_path / "piped.au", "AU", "PCM_16", 4000)
    content = bytearray(path.read_bytes())
    content[8:12] = b"\xff" * 4
    path.write_bytes(content)
    assert Clip.read(path).samples.shape == (1, 4000)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_full_disk_leaves_no_audio_file_of_any_format(tmp_path, monkeypatch, suffix):
    def write_half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(TonearmError, match="the disk is full"):
        sine().write(tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_format_that_cannot_have_the_channels_is_refused_by_its_reason(tmp_path):
    with pytest.raises(TonearmError, match=r"9 channels at 16000 Hz as \.flac"):
        sine(channels=9).write(tmp_path / "x.flac")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_files_of_equal_clips_are_equal_in_bytes_at_other_times(tmp_path, suffix, channels):
    clip = sine(5.0, channels=channels)
    first = clip.write(tmp_path / f"a{suffix}").read_bytes()
    time.sleep(1.1)  # the time stamps have whole seconds
    second = clip.write(tmp_path / f"b{suffix}").read_bytes()
    assert first == second
    again, _ = soundfile.read(tmp_path / f"a{suffix}", dtype="float32", always_2d=True)
    assert again.T.shape == clip.samples.shape and np.abs(again.T - clip.samples).max() < 0.05


def test_every_page_of_an_ogg_file_keeps_a_valid_checksum():
    content = sine(20.0).encoded(".ogg")
    assert content.count(b"OggS") > 4
    table = [0] * 256
    for value in range(256):
        remainder = value << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (0x04C11DB7 if remainder & 2**31 else 0)
        table[value] = remainder & 0xFFFFFFFF
    for page in (b"OggS" + part for part in content.split(b"OggS")[1:]):
        checksum = 0
        for byte in page[:22] + bytes(4) + page[26:]:
            checksum = (checksum << 8) & 0xFFFFFFFF ^ table[checksum >> 24 ^ byte]
        assert checksum == int.from_bytes(page[22:26], "little")


@pytest.mark.parametrize(
    ("dtype", "lowest", "middle", "half"),
    [
        ("uint8", 0, 128, 192),
        ("int8", -128, 0, 64),
        ("int16", -(2**15), 0, 2**14),
        (">i2", -(2**15), 0, 2**14),
        ("int32", -(2**31), 0, 2**30),
    ],
)
def test_pcm_samples_are_scaled_by_their_type(dtype, lowest, middle, half):
    clip = Clip(np.array([lowest, middle, half], dtype=dtype), 8000)
    assert clip.samples.dtype == np.float32 and clip.samples.tolist() == [[-1.0, 0.0, 0.5]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_float_samples_are_kept(dtype):
    clip = Clip(np.array([-1.0, 0.5, 1.5], dtype=dtype), 8000)
    assert clip.samples.dtype == np.float32 and clip.samples.tolist() == [[-1.0, 0.5, 1.5]]


@pytest.mark.parametrize(
    "samples",
    [
        np.ones(8, dtype=np.int64),
        np.ones(8, dtype=np.uint16),
        np.ones(8, dtype=np.uint32),
        np.ones(8, dtype=np.uint64),
        np.ones(8, dtype=bool),
        np.ones(8, dtype=complex),
        np.ones(8, dtype=object),
        np.zeros(8, dtype="datetime64[s]"),
        np.array(["0.5"] * 8),
        [0, 1, 0],
        [[0.5], [0.5, 0.5]],
        None,
        "x.wav",
    ],
)
def test_samples_without_a_full_scale_are_refused(samples):
    with pytest.raises(TonearmError, match="samples") as error:
        Clip(samples, 8000)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "rate", [0, -1, 0.5, 2**31, math.nan, math.inf, "8000", None, True, 1j, b"8", [8000]]
)
def test_sample_rates_that_are_no_whole_number_of_hertz_are_refused(rate):
    with pytest.raises(TonearmError, match="sample rate of"):
        Clip(np.zeros(8), rate)


def test_a_sample_rate_of_another_number_type_becomes_an_integer():
    for rate in (np.int64(8000), 8000.0, np.float32(8000)):
        assert type(Clip(np.zeros(8), rate).sample_rate) is int


def antiphase() -> Clip:
    left = sine().samples
    return Clip(np.concatenate([left, -left]), 16_000)


@pytest.mark.parametrize(
    "clip",
    [
        antiphase(),
        Clip(np.full(16_000, 0.5), 16_000),
        Clip(np.full((2, 16_000), [[0.5], [-0.25]]), 16_000),
        sine(size=1e-3),
        Clip(sine(size=1e-3).samples + 0.5, 16_000),
        Clip(np.zeros(16_000), 16_000),
    ],
    ids=["anti-phase", "offset", "two offsets", "-60 dB", "-60 dB and offset", "zeros"],
)
def test_an_input_that_is_silent_to_a_mono_model_is_refused(clip):
    with pytest.raises(TonearmError, match="the melody is silent to the model: mixed to mono"):
        check_audible(clip, "the melody", 0.1, channels=1)


def test_an_input_is_checked_by_the_channels_that_the_model_receives():
    check_audible(antiphase(), "the audio prompt", 0.1, channels=2)
    left = Clip(np.concatenate([sine().samples, np.zeros((1, 16_000))]), 16_000)
    for channels in (1, 2):
        check_audible(left, "the audio prompt", 0.1, channels)
        check_audible(sine(size=0.003), "the audio prompt", 0.1, channels)
    four = Clip(np.concatenate([antiphase().samples] * 2), 16_000)
    for channels in (1, 2):
        with pytest.raises(TonearmError, match="silent"):
            check_audible(four, "the audio prompt", 0.1, channels)


def test_a_lower_quality_makes_a_smaller_ogg_file():
    noise = Clip(np.random.default_rng(0).uniform(-0.3, 0.3, 32_000), 32_000)
    sizes = [len(noise.encoded(".ogg", quality)) for quality in (0.1, 0.5, 0.9)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(("suffix", "quality"), [(".flac", 0.5), (".ogg", 1.1), (".ogg", -0.1)])
def test_a_quality_that_is_not_possible_is_refused(suffix, quality):
    clip = Clip(np.zeros(1000), 32_000)
    with pytest.raises(TonearmError, match="quality"):
        clip.encoded(suffix, quality)
