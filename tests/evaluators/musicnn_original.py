"""Outputs of the original musicnn 0.1.0 for three synthesised signals: `musicnn_original.json`.

The original needs TensorFlow and NumPy of 2019, so that this script runs in an environment of its
own, from the root of the repository:

    python3.7 -m venv build/musicnn
    build/musicnn/bin/pip install tensorflow==1.15.5 librosa==0.7.2 numba==0.48.0 numpy==1.16.6 \
        "protobuf<3.21" "scikit-learn<1.1" "soundfile<0.13"
    build/musicnn/bin/pip install --no-deps musicnn==0.1.0
    build/musicnn/bin/python tests/evaluators/musicnn_original.py

`windows` holds the probabilities of each window, `embedding` the penultimate layer of the first one:
the original returns the first row again for every later window.
"""

import json
from pathlib import Path

import numpy as np

SAMPLE_RATE = 16000
OUTPUTS = Path(__file__).with_name("musicnn_original.json")


def signals():
    """Map names to mono samples at 16 kHz, float32, from 3.4 to 6 s."""
    return {"plucked": plucked(), "beat": beat(), "strings": strings()}


def plucked():
    """Decaying harmonic notes of a rising scale, four per second, 5 s."""
    samples = np.zeros(5 * SAMPLE_RATE)
    for index in range(19):
        time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
        hz = 196 * 2 ** ((0, 2, 4, 5, 7, 9, 11)[index % 7] / 12 + index // 7)
        note = sum(np.sin(2 * np.pi * hz * k * time) / k**2 for k in range(1, 6))
        start = index * SAMPLE_RATE // 4
        samples[start : start + len(time)] += 0.04 * note * np.exp(-6 * time)
    return samples.astype(np.float32)


def beat():
    """Noise bursts at 140 per minute over a decaying bass tone, loud, 6 s."""
    samples = np.zeros(6 * SAMPLE_RATE)
    noise = np.random.RandomState(0).uniform(-1, 1, SAMPLE_RATE // 4)
    time = np.arange(len(noise)) / SAMPLE_RATE
    hit = 0.3 * noise * np.exp(-30 * time) + 0.5 * np.sin(2 * np.pi * 55 * time) * np.exp(-8 * time)
    for start in np.arange(0.1, 5.7, 60 / 140):
        first = int(start * SAMPLE_RATE)
        samples[first : first + len(hit)] += hit
    return samples.astype(np.float32)


def strings():
    """A held chord of sawtooth tones with vibrato and slow attack, 3.4 s."""
    time = np.arange(int(3.4 * SAMPLE_RATE)) / SAMPLE_RATE
    chord = sum(
        np.sin(k * (2 * np.pi * hz * time + 0.6 * np.sin(2 * np.pi * 5.5 * time))) / k
        for hz in (220.0, 277.18, 329.63)
        for k in range(1, 12)
    )
    return (0.02 * chord * np.minimum(1, 2 * time)).astype(np.float32)


def main():
    import soundfile
    from musicnn import extractor

    found = {}
    for name, samples in signals().items():
        path = OUTPUTS.with_name(name + ".wav")
        soundfile.write(str(path), samples, SAMPLE_RATE, subtype="FLOAT")
        taggram, tags, features = extractor.extractor(str(path), input_overlap=1.0)
        found[name] = {
            "windows": np.round(taggram.astype(float), 7).tolist(),
            "embedding": np.round(features["penultimate"][0].astype(float), 6).tolist(),
        }
        path.unlink()
    OUTPUTS.write_text(json.dumps({"tags": tags, "outputs": found}) + "\n")


if __name__ == "__main__":
    main()
