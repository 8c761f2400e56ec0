"""Random actions of studio users, and random nonsense of other clients."""

import asyncio
import json
import math
import random
import string
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from pythonosc.osc_message_builder import build_msg

from benchmarks.soak_tally import Tally
from benchmarks.studio_client import Message, StudioClient
from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.studio.messages import MAX_TEXT

Action = Callable[[StudioClient], Awaitable[None]]
WORDS = prompts.held_out()
MAX_LOOP = 8.0  # seconds
# few lengths, so that the code that torch compiles for each of them does not look like a leak
UPLOAD_SECONDS = (0.5, 1.0, 2.0, 3.0)


class UserActions:
    """Random user actions, each of them valid or refused with a reason.

    Args:
        manifest: of the studio.
        rng: random numbers.
        tally: receives the counts.
        gain: factor of the probability of what starts other music.
    """

    def __init__(self, manifest: Message, rng: random.Random, tally: Tally, gain: float = 1.0):
        self.manifest, self.rng, self.tally = manifest, rng, tally
        self._knobs = {knob["name"]: knob for knob in manifest["knobs"]}
        self._actions: list[tuple[str, Action, float]] = [
            ("knob", self.turn, 60),
            ("setting", self.set_setting, 8),
            ("zero", self.zero, 2),
            ("a or b", self.listen, 5),
            ("prompt", self.write_prompt, 4),
            ("lead", self.set_lead, 3),
            ("loop", self.loop, 4),
            ("record", self.record, 4),
            ("seed", self.set_seed, 3),
            ("desk", self.set_desk, 1.5),
            ("research", self.set_research, 1),
            ("mute", self.mute, 0.5),
            ("fork", self.fork, 1.5 * gain),
            ("play", self.play, 0.7 * gain),
            ("stop", self.stop, 0.7 * gain),
        ]

    async def act(self, client: StudioClient) -> None:
        """Do something."""
        weights = [weight for *_, weight in self._actions]
        ((kind, action, _),) = self.rng.choices(self._actions, weights)
        self.tally.act(kind)
        await action(client)

    def _note(self, answer: Message) -> None:
        if answer["type"] == "error":
            self.tally.refused(answer["message"])

    async def turn(self, client: StudioClient) -> None:
        """Turn a knob of the performance, or of the desk."""
        desk = client.state["playing_desk"] or client.state["desk"]
        if not desk:
            return
        knob = self._knobs[self.rng.choice(desk)]
        side = self.rng.choice([knob["positive"], knob["negative"]])
        value = self.rng.choice([0.0, side["limit"], self.rng.random() * side["limit"]])
        self._note(await client.control(knob["target"], value if side["passes"] else 0.0))

    async def set_setting(self, client: StudioClient) -> None:
        """Move guidance or temperature."""
        setting = self.rng.choice(self.manifest["settings"])
        value = self.rng.choice(
            [setting["default"], self.rng.uniform(setting["low"], setting["high"])]
        )
        self._note(await client.control(setting["target"], value))

    async def zero(self, client: StudioClient) -> None:
        """Set all knobs to zero."""
        for name in client.state["playing_desk"]:
            self._note(await client.control(self._knobs[name]["target"], 0.0))

    async def mute(self, client: StudioClient) -> None:
        """Silence the music for a moment."""
        self._note(await client.control("mute", 1.0))
        self._note(await client.control("mute", 0.0))

    async def listen(self, client: StudioClient) -> None:
        await self._command(client, "ab", to=self.rng.choice(["steered", "plain"]))

    async def write_prompt(self, client: StudioClient) -> None:
        await self._command(client, "prompt", text=self.rng.choice(WORDS))

    async def set_lead(self, client: StudioClient) -> None:
        await self._command(
            client, "lead", seconds=self.rng.choice([0.1, 0.2, 0.3, 0.3, 0.5, 1, 3])
        )

    async def loop(self, client: StudioClient) -> None:
        """Repeat some bars for some seconds; controls wait until then."""
        await self._command(client, "loop", bars=self.rng.choice([0, 1, 1, 2]))
        await asyncio.sleep(self.rng.uniform(0, MAX_LOOP))
        await self._command(client, "loop", bars=0)

    async def record(self, client: StudioClient) -> None:
        await self._command(client, "record", on=self.rng.random() < 0.5)

    async def set_seed(self, client: StudioClient) -> None:
        seed = self.rng.choice([None, self.rng.randrange(2**31)])
        await self._command(client, "seed", seed=seed, locked=self.rng.random() < 0.2)

    async def set_desk(self, client: StudioClient) -> None:
        count = self.rng.choice([0, 1, 2, 3, 4, 4, 8])
        knobs = self.rng.sample(sorted(self._knobs), min(count, len(self._knobs)))
        await self._command(client, "desk", knobs=knobs)

    async def set_research(self, client: StudioClient) -> None:
        """Steers with operators, layers and schedules, many of which are not possible."""
        await self._command(client, "research", steers=self.steers(self.rng.choice([0, 0, 1, 2])))

    async def fork(self, client: StudioClient) -> None:
        await self._command(client, "fork", seed=self.rng.choice([None, self.rng.randrange(2**31)]))

    async def play(self, client: StudioClient) -> None:
        await self._command(client, "play")

    async def stop(self, client: StudioClient) -> None:
        await self._command(client, "stop")

    async def _command(self, client: StudioClient, name: str, **fields: Any) -> None:
        self._note(await client.command(name, **fields))

    def steers(self, count: int) -> list[Message]:
        """Steers of the library's vectors, at random."""
        vectors = self.manifest["vectors"]
        if not vectors:
            return []
        rng, found = self.rng, []
        for vector in rng.choices(vectors, k=count):
            steer: Message = {"vector": vector["name"], "strength": round(rng.uniform(-1, 1), 3)}
            if rng.random() < 0.5:
                steer["operator"] = rng.choice(self.manifest["operators"])
            if rng.random() < 0.3:
                steer["layers"] = sorted({rng.choice(vector["layers"]) for _ in range(3)})
            if rng.random() < 0.3:
                steer["schedule"] = {"points": [[0, 0], [rng.uniform(1, 9), 1]]}
            if rng.random() < 0.2:
                steer["branch"] = rng.choice(["conditional", "unconditional", "both"])
            if rng.random() < 0.2:
                steer["gate"] = rng.random()
            if rng.random() < 0.1:
                steer["monitor"] = True
            if rng.random() < 0.1:
                steer["level"] = rng.uniform(-3, 3)
            found.append(steer)
        return found


def bad_text(rng: random.Random, manifest: Message) -> tuple[str | bytes, int | None]:
    """A message that must be answered with an error, and the number that the error must have."""
    seq = rng.randrange(10**6, 2**53)
    target = (manifest["knobs"][0] if manifest["knobs"] else manifest["settings"][0])["target"]
    control: Message = {"type": "control", "seq": seq, "target": target, "value": 0.0}
    numbered = [
        {**control, "value": rng.choice([None, [], {}, "NaN", "", "x", 10**400])},
        {**control, "value": rng.choice([1e300, -1e300, 1e9])},
        {**control, "value": math.nan},
        {**control, "value": -math.inf},
        {
            **control,
            "target": rng.choice(["", "target/", "target/nothing", "mute/x", "/", "target"]),
        },
        {**control, "target": "x" * rng.choice([300, 301, 5000])},
        {**control, "target": "target/\ud800"},
        {**control, "target": rng.choice([None, 1, ["target/tempo"], {}])},
        {**control, "extra": 1},
        {**control, "seq": -1},
        {**control, "seq": 2**53},
        {"type": "control", "seq": seq},
        {"type": rng.choice(["explode", "", "hello", "applied", None, 3, "Control"]), "seq": seq},
        {"type": "command", "seq": seq},
        {"type": "command", "seq": seq, "name": rng.choice(["explode", "", "Play", "__init__"])},
        {"type": "command", "seq": seq, "name": rng.choice([None, 5, [], {"name": "play"}])},
        {
            "type": "command",
            "seq": seq,
            "name": "loop",
            "bars": rng.choice([-1, 9, 1.5, "x", None]),
        },
        {
            "type": "command",
            "seq": seq,
            "name": "lead",
            "seconds": rng.choice([0, 99, -1, "x", None]),
        },
        {"type": "command", "seq": seq, "name": "seed", "seed": rng.choice([-1, 2**31, 1.5, "x"])},
        {
            "type": "command",
            "seq": seq,
            "name": "fork",
            "seed": rng.choice([-1, 2**31, 10**40, "x"]),
        },
        {"type": "command", "seq": seq, "name": "record", "on": rng.choice([None, "x", 3])},
        {"type": "command", "seq": seq, "name": "ab", "to": rng.choice(["both", "", None, 1])},
        {
            "type": "command",
            "seq": seq,
            "name": "prompt",
            "text": rng.choice(["", " ", "\t\n", None, 3]),
        },
        {"type": "command", "seq": seq, "name": "prompt", "text": "a" * 1001},
        {"type": "command", "seq": seq, "name": "prompt", "text": "\u200b\u200b"},
        {"type": "command", "seq": seq, "name": "prompt", "text": "folk \ud800 tune"},
        {"type": "command", "seq": seq, "name": "play", "extra": 1},
        {
            "type": "command",
            "seq": seq,
            "name": "desk",
            "knobs": rng.choice([["nothing"], "tempo", 3, [1]]),
        },
        {"type": "command", "seq": seq, "name": "desk", "knobs": ["tempo"] * 9},
        {
            "type": "command",
            "seq": seq,
            "name": "research",
            "steers": [{"vector": "../../etc/passwd"}],
        },
        {"type": "command", "seq": seq, "name": "research", "steers": [{"vector": ""}]},
        {
            "type": "command",
            "seq": seq,
            "name": "research",
            "steers": rng.choice([3, "x", [3], [None]]),
        },
    ]
    unnumbered: list[str | bytes] = [
        "",
        "{",
        "[]",
        "null",
        "3",
        "[" * 5000,
        '{"type"',
        "".join(rng.choices(string.printable, k=200)),
        '{"a":' * 3000,
        "x" * (MAX_TEXT + 1),
        rng.randbytes(100),
        b"",
        json.dumps({"type": "playhead", "sample": rng.choice([-1, 2**53, 1.5, "x", None])}),
        json.dumps({"type": "playhead"}),
        json.dumps(
            {"type": "report", "buffer_ms": rng.choice([-1, 1e9, math.nan]), "underruns": 0}
        ),
        json.dumps({**control, "seq": rng.choice([1.5, "x", None, []])}),
    ]
    if rng.random() < len(unnumbered) / (len(unnumbered) + len(numbered)):
        return rng.choice(unnumbered), None
    chosen = rng.choice(numbered)
    return json.dumps(chosen), chosen["seq"]


def good_datagram(rng: random.Random, manifest: Message) -> bytes:
    """An OSC message that is possible."""
    knob = rng.choice(manifest["knobs"])["name"] if manifest["knobs"] else ""
    address, value = rng.choice(
        [
            (f"/tonearm/knob/{knob}", round(rng.uniform(-1, 1), 3)),
            (f"/tonearm/knob/{knob}", 0),
            ("/tonearm/guidance", rng.uniform(1, 5)),
            ("/tonearm/temperature", rng.uniform(0.5, 1.2)),
            ("/tonearm/ab", rng.randrange(2)),
            ("/tonearm/transport/record", rng.randrange(2)),
            ("/tonearm/transport/fork", 0),
            ("/tonearm/prompt", rng.choice(WORDS)),
            ("/tonearm/sync", []),
        ]
    )
    return build_msg(address, value).dgram


def bad_datagram(rng: random.Random) -> bytes:
    """A datagram that is not OSC, or whose address or value is not valid."""
    good = build_msg("/tonearm/knob/tempo", 1.0).dgram
    bundle = b"#bundle\0" + bytes(8)
    nested = bundle
    for _ in range(rng.choice([3, 300])):
        nested = bundle + struct.pack(">i", len(nested)) + nested
    candidates = [
        b"",
        rng.randbytes(rng.choice([1, 7, 64, 1400])),
        good[: rng.randrange(len(good))],
        bytes(one ^ (rng.random() < 0.1) for one in good),
        nested[:60_000],
        bundle + struct.pack(">i", rng.choice([-1, 2**31 - 1, 3])) + good,
        build_msg("/tonearm/knob/nothing", 1.0).dgram,
        build_msg("/tonearm/knob/tempo", rng.choice([math.nan, math.inf, 1e30])).dgram,
        build_msg("/tonearm/knob/tempo", "x").dgram,
        build_msg("/tonearm/loop", rng.choice([-3, 99, 1e30])).dgram,
        build_msg("/tonearm/prompt", rng.choice(["", " ", 3])).dgram,
        build_msg("/tonearm/error", "an answer").dgram,
        build_msg("/elsewhere", 1).dgram,
        build_msg("/tonearm/transport/explode", 1).dgram,
    ]
    return rng.choice(candidates)


def good_upload(rng: random.Random) -> bytes:
    """A short tone as WAV, FLAC or OGG, mono or stereo."""
    rate, seconds = rng.choice([8_000, 16_000, 44_100]), rng.choice(UPLOAD_SECONDS)
    time = np.arange(round(seconds * rate)) / rate
    rows = [
        0.3 * np.sin(2 * np.pi * rng.uniform(100, 900) * time) for _ in range(rng.choice([1, 2]))
    ]
    return Clip(np.array(rows, np.float32), rate).encoded(rng.choice([".wav", ".flac", ".ogg"]))


def bad_upload(rng: random.Random) -> bytes:
    """Bytes that are no music."""
    good = good_upload(rng)
    position = rng.randrange(len(good))
    candidates: Sequence[bytes] = [
        b"",
        b"no audio",
        rng.randbytes(rng.choice([1, 100, 100_000])),
        good[: rng.randrange(60)],
        b"RIFF" + rng.randbytes(200),
        b"fLaC" + rng.randbytes(2000),
        b"OggS" + rng.randbytes(2000),
        b"ID3" + rng.randbytes(2000),
        Clip(np.zeros(130_000, np.float32), 1000).encoded(".wav"),  # 130 s
        good[:12] + bytes(one ^ 255 for one in good[12:40]) + good[40:],
        good[:position] + rng.randbytes(1) + good[position + 1 :],  # may be music all the same
    ]
    return rng.choice(candidates)
