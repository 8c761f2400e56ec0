"""Stream a take and change its amounts from another thread.

    python examples/stream_live_control.py --out build/examples

The main thread plays: it waits for each chunk to end, as an audio device would, at `--speed` times
real time. A second thread sets two amounts and the guidance at given times, and prints the frame
at which each change took effect. Writes stream.wav, and stream.json beside it, from which
`tonearm replay` reproduces the performance.
"""

import argparse
import threading
import time
from pathlib import Path

import tonearm
from tonearm import Control

# seconds of playback, and the change then
CHANGES = (
    (1.0, Control(target="amount/brightness", value=0.5)),
    (3.0, Control(target="amount/tempo", value=1.0)),
    (5.0, Control(target="guidance", value=3.0)),
    (6.0, Control(target="amount/brightness", value=-0.5)),
)


def control(stream: tonearm.Stream, frame_rate: float, speed: float) -> None:
    """Send each change at its time, and print when it took effect."""
    start = time.monotonic()
    for seconds, change in CHANGES:
        time.sleep(max(0.0, start + seconds / speed - time.monotonic()))
        try:
            frame = stream.set(change).result()
        except tonearm.TonearmError as error:
            print(f"{change.target} = {change.value:g}: {error}")
            return
        at = f"frame {frame} ({frame / frame_rate:.2f} s of the clip)"
        print(f"{change.target} = {change.value:g}: took effect at {at}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/examples"), help="folder for the take"
    )
    parser.add_argument("--seconds", type=float, default=9.0, help="length of the stream")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="playback speed; above 1 to finish sooner"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    model = tonearm.load()
    stream = model.stream(
        "a folk tune with flute",
        steer={"tempo": 0, "brightness": 0},
        seconds=arguments.seconds,
        seed=7,
    )
    controller = threading.Thread(
        target=control, args=(stream, model.shape.frame_rate, arguments.speed)
    )
    controller.start()
    start = time.monotonic()
    for chunk in stream:
        due = start + (chunk.start + chunk.samples.shape[1] / chunk.sample_rate) / arguments.speed
        time.sleep(max(0.0, due - time.monotonic()))
    controller.join()
    path = arguments.out / "stream.wav"
    stream.take.save(path)
    print(f"wrote {path} and its sidecar; the lookahead is {stream.lookahead:.2f} s")


if __name__ == "__main__":
    main()
