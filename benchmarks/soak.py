"""Soak of the studio: hours of random use and misuse of one server, with exact replay at the end.

    python -m benchmarks.soak --seconds 7200 --seed 1 --store build/soak

A `tonearm studio` process plays pocket. One client plays all the time, in real time, and counts
underruns as the page's worklet does. Others connect, act at random, and close or drop the
connection; one sends bad messages; good and bad uploads, exports and OSC packets run in parallel.
`soak.jsonl` gets a line every minute. At the end every take that was exported, or saved by the
server at its end, is replayed, and compared with the samples that were played.

The exit code is 1 if a verdict fails. `--max-underruns` limits the underruns in live mode at leads
of `--steady-lead` and more. That lead is 0.5 s by default, above the 0.2 s of the studio, since the
clients, uploads and exports of a soak need a core of their own.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import psutil
from websockets.exceptions import WebSocketException

import tonearm
from benchmarks.soak_actions import UserActions, good_upload
from benchmarks.soak_audio import Checked, PlayedAudio, check_take, unpack
from benchmarks.soak_context import SoakContext
from benchmarks.soak_misuse import Misuse
from benchmarks.soak_monitor import Monitor
from benchmarks.soak_report import Outcome, Sample, verdicts_of
from benchmarks.soak_requests import FILES, Requests
from benchmarks.studio_server import StudioServer, studio_server
from tonearm.defaults import LIVE_CHUNK

PEOPLE = 3  # clients that come and go
# closes by the server: too many bad messages, a message too long, too slow or too many clients
CLOSED_BY_SERVER = (1008, 1009, 1013)
STEADY_LEAD = 0.5  # seconds
BAD_SHARE = 0.05  # bad messages per action of a client that comes and goes


class Soak:
    """All clients of one server.

    Args:
        server: that runs.
        store: folder for the results.
        seed: of the actions.
        every: seconds between two lines.
        pace: seconds between two actions of a client, on average.
    """

    def __init__(self, server: StudioServer, store: Path, seed: int, every: float, pace: float):
        self.context = SoakContext(server, store, seed, pace)
        self.monitor = Monitor(self.context)
        self.samples: list[Sample] = []
        self._requests = Requests(self.context, self.monitor)
        self._misuse = Misuse(self.context, self.monitor.client)
        self._every = every

    async def run(self, seconds: float) -> tuple[Sample, Sample]:
        """Warm up, and act for `seconds`; returns the resources at rest before and after."""
        async with self.context.opened():
            await self._warm_up()
        before = after = await self.monitor.at_rest()
        try:
            async with self.context.opened():
                await self.monitor.open()
                await self._act(seconds)
                await self._requests.export_one()
                await self.monitor.client.close()
            after = await self.monitor.at_rest()
        except (OSError, WebSocketException, psutil.Error) as error:
            self.context.tally.fault(f"the server was lost: {type(error).__name__}: {error}")
        return before, after

    async def _act(self, seconds: float) -> None:
        """Run all clients for some time, or until the first error of one."""
        requests = self._requests
        calls: list[Coroutine[Any, Any, None]] = [
            self.monitor.keep_playing(),
            self._misuse.run(),
            requests.upload(),
            requests.export(),
            requests.browse(),
            requests.send_packets(),
            *(self._come_and_go() for _ in range(PEOPLE)),
            self._write_lines(),
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                name = type(result).__name__
                self.context.tally.fault(f"a client ended by {name}: {result}")

    async def _come_and_go(self) -> None:
        """Connect, act for a while, and leave in one of several ways, over and over."""
        context, rng, tally = self.context, self.context.rng, self.context.tally
        client = context.client()
        people = UserActions(context.manifest, rng, tally)
        while True:
            try:
                resumes = bool(client.session) and rng.random() < 0.5
                await client.open(resume=resumes)
                tally.act("connect again" if resumes else "connect")
                for _ in range(rng.randrange(1, 40)):
                    await context.pause()
                    await people.act(client)
                    if rng.random() < BAD_SHARE:
                        await context.send_bad(client)
            except TimeoutError:
                tally.fault("a message was not answered")
            except ConnectionError:
                if client.close_code not in CLOSED_BY_SERVER:
                    tally.fault(f"a client was closed with {client.close_code}")
            finally:
                leaves = rng.random() < 0.5
                tally.act("leave" if leaves else "break off")
                await (client.close() if leaves else client.abort())
            if rng.random() < 0.3:
                client = context.client()
            await context.pause(2)

    async def _warm_up(self) -> None:
        """Use everything once, so that its threads and memory are there."""
        context = self.context
        async with context.guest() as client:
            while client.state["status"] == "starting":
                await asyncio.sleep(0.1)
            await client.command("play")
            await client.command("prompt", text="a folk tune with flute")
            while client.head.played < 2 * context.rate:
                await asyncio.sleep(0.1)
            await client.command("fork")
            await client.command("stop")
            for content in (good_upload(context.rng), b"no audio"):
                await context.http.post("uploads/continue_from", content=content)
            await client.command("stop")
            while not (ready := [one for one in client.state["takes"] if one["ready"]]):
                await asyncio.sleep(0.1)
            for kind in (*FILES, "page"):
                await context.http.get(f"export/{ready[0]['number']}/{kind}.zip")

    async def _write_lines(self) -> None:
        noted = 0
        while True:
            await asyncio.sleep(self._every)
            sample = self.monitor.sample()
            self.samples.append(sample)
            line = {
                **vars(sample),
                "errors": dict(self.context.tally.refusals),
                "new_underruns": self.monitor.underruns[noted:],
            }
            noted = len(self.monitor.underruns)
            with (self.context.store / "soak.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
            print(sample.line, file=sys.stderr, flush=True)


def soak(
    store: Path,
    seconds: float,
    seed: int,
    *,
    model: str = "pocket",
    every: float = 60.0,
    pace: float = 0.7,
    options: Sequence[str] = (),
) -> Outcome:
    """Run a soak, and replay the takes that were exported.

    Args:
        store: folder for the results; must not hold those of another soak.
        seconds: of random actions.
        seed: of the actions.
        model: checkpoint of the server.
        every: seconds between two lines.
        pace: seconds between two actions of a client, on average.
        options: further options of `tonearm studio`.
    """
    with studio_server(store / "server", ["--model", model, *options]) as server:
        run = Soak(server, store, seed, every, pace)
        before, after = asyncio.run(run.run(seconds))
        code = server.end()
        errors = server.errors
    for path in (store / "server" / "takes").glob("take-*.zip"):  # that the server saved at its end
        unpack(path, store / "takes" / path.stem.removeprefix("take-"))
    checked = check_all(store, run.monitor.audio, tonearm.load(model, device="cpu"))
    underruns, tally = run.monitor.underruns, run.context.tally
    return Outcome(before, after, run.samples, underruns, checked, tally, errors, code)


def check_all(store: Path, audio: PlayedAudio, model: tonearm.Model) -> list[Checked]:
    """Replay all takes of a soak."""
    folders = sorted((store / "takes").glob("*"), key=lambda path: int(path.name))
    chunk_frames = round(LIVE_CHUNK * model.shape.frame_rate)
    checked = []
    for index, folder in enumerate(folders, start=1):
        checked.append(check_take(folder, int(folder.name), audio, model, chunk_frames))
        print(f"replayed {index} of {len(folders)}", file=sys.stderr, flush=True)
    return checked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=7200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="pocket", help="checkpoint: a name or a folder")
    parser.add_argument("--store", type=Path, default=Path("build/soak"), help="a new folder")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two lines")
    parser.add_argument("--pace", type=float, default=0.7, help="seconds between two actions")
    parser.add_argument("--max-underruns", type=int, default=0)
    parser.add_argument(
        "--steady-lead", type=float, default=STEADY_LEAD, help="underruns count from this lead on"
    )
    parser.add_argument("--mode", default="auto", help="of the studio: auto, live or phrase")
    arguments = parser.parse_args()
    if arguments.store.exists():
        parser.error(f"--store {arguments.store} exists; name a new folder")
    found = soak(
        arguments.store,
        arguments.seconds,
        arguments.seed,
        model=arguments.model,
        every=arguments.every,
        pace=arguments.pace,
        options=["--mode", arguments.mode],
    )
    verdicts = verdicts_of(found, arguments.max_underruns, arguments.steady_lead)
    content = {
        "verdicts": [vars(one) for one in verdicts],
        "before": vars(found.before),
        "after": vars(found.after),
        "underruns": list(found.underruns),
        "actions": dict(found.tally.actions),
        "refusals": dict(found.tally.refusals),
        "notices": dict(found.tally.notices),
        "faults": found.tally.faults,
        "takes": [vars(one) for one in found.checked],
    }
    (arguments.store / "soak.json").write_text(json.dumps(content, indent=1) + "\n")
    print("\n".join(map(str, verdicts)))
    sys.exit(any(one.passes is False for one in verdicts))


if __name__ == "__main__":
    main()
