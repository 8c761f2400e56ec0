"""Store of a study: takes, their measurements, and the trials that refer to them.

    runs/x/store.sqlite          takes, measurements, trials (SQLite, write-ahead log)
    runs/x/audio/ab/ab12...flac  audio by the hash of its samples, 16 bits

A take is recorded after its audio is on the disk, and each record is one transaction, so that a
process killed at any moment leaves no partial take. Several processes can use one store.

Audio is measured as it is stored, so that measuring it again gives the same values
(`tonearm.studies.stored_audio`).
"""

import json
import sqlite3
import time
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.hashing import hash_clip
from tonearm.studies.stored_audio import StoredAudio
from tonearm.text import quoted

DATABASE = "store.sqlite"
AUDIO = "audio"
VERSION = 1
TABLES = {"takes", "measurements", "studies", "trials"}
WAIT_SECONDS = 60.0  # for another process
PAUSE_SECONDS = 300.0  # a longer gap between two takes is a pause of the run
SCHEMA = """
CREATE TABLE takes (
    key TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    audio TEXT NOT NULL,
    sample_rate INTEGER NOT NULL,
    scale REAL NOT NULL,
    codes BLOB,
    codebooks INTEGER,
    made REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE measurements (
    key TEXT NOT NULL REFERENCES takes (key),
    family TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    arguments TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (key, family, fingerprint, arguments)
) WITHOUT ROWID;
CREATE TABLE studies (
    name TEXT PRIMARY KEY,
    details TEXT NOT NULL,
    fingerprints TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE trials (
    study TEXT NOT NULL REFERENCES studies (name),
    stage TEXT NOT NULL,
    stage_index INTEGER NOT NULL,
    position INTEGER NOT NULL,
    key TEXT NOT NULL,
    families TEXT NOT NULL,
    arguments TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (study, stage, position)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class StoredTrial:
    """A trial as a store keeps it.

    key        of its take
    groups     of measures
    arguments  texts that the measures compare the audio with
    facts      labels of its record
    """

    key: str
    groups: tuple[str, ...]
    arguments: Mapping[str, str]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Values:
    """Values of one group of measures on one take."""

    key: str
    group: str
    fingerprint: str
    arguments: Mapping[str, str]
    record: Mapping[str, Any]


class Store:
    """A folder with takes and measurements.

    Args:
        folder: of the store; made where it is absent.
        keeps_audio: of new takes; without it, another measure makes them again.

    Raises:
        TonearmError: the folder cannot be written, or its file is no store of this version.
    """

    def __init__(self, folder: Path, keeps_audio: bool = True) -> None:
        self.folder, self._keeps_audio = folder, keeps_audio
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TonearmError(f"{folder} cannot be made: {error.strerror}") from None
        with _errors(folder):
            self._database = sqlite3.connect(
                folder / DATABASE, timeout=WAIT_SECONDS, isolation_level=None
            )
            try:
                self._create()
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
            except BaseException:
                self._database.close()
                raise

    @classmethod
    def existing(cls, folder: Path) -> "Store":
        """Open a store that is there.

        Raises:
            TonearmError: there is none, or it is of another version.
        """
        if not (folder / DATABASE).is_file():
            raise TonearmError(f"{folder} holds no study; give the --out folder of one")
        return cls(folder)

    def _create(self) -> None:
        """Make the tables of a new store; refuse what is none of this version."""
        with self._transaction():
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            tables = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = {name for (name,) in tables}
            if version == 0 and not names:
                for statement in SCHEMA.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {VERSION}")
            elif not names >= TABLES:
                raise TonearmError(
                    f"{self.folder / DATABASE} is of another program; choose another folder"
                )
            elif version != VERSION:
                raise TonearmError(
                    f"{self.folder} is a store of version {version}, and this Tonearm reads "
                    f"version {VERSION}; choose another folder"
                )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _errors(self.folder):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite ends it itself where the disk is full
                    self._database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # takes

    def has_take(self, key: str) -> bool:
        """Whether the store has a take with its audio."""
        row = self._row("SELECT audio FROM takes WHERE key = ?", key)
        return row is not None and self._audio_file(row[0]).is_file()

    def lacks_audio(self, key: str) -> bool:
        """Whether the store keeps audio and has none of a take, such as that of a removed file."""
        return self._keeps_audio and not self.has_take(key)

    def has_codes(self, key: str) -> bool:
        """Whether the store has the codes of a take."""
        row = self._row("SELECT codes FROM takes WHERE key = ?", key)
        return row is not None and row[0] is not None

    def add_take(
        self,
        key: str,
        description: Mapping[str, Any],
        audio: StoredAudio,
        codes: np.ndarray | None,
    ) -> None:
        """Record a take. One that is there already with the same audio is kept; with other audio, it
        is replaced, and its measurements are removed.

        Args:
            key: of the take.
            description: of everything that determines it, as JSON.
            audio: of it; `audio.clip` is what is measured.
            codes: its codes [K, T], or None for processed audio.

        Raises:
            TonearmError: the disk is full, or the folder cannot be written.
        """
        name = hash_clip(audio.clip)
        file = self._audio_file(name)
        if self._keeps_audio and not file.is_file():
            with atomic_write(file) as temporary:
                audio.write(temporary)
        packed, codebooks = None, None
        if codes is not None:
            packed, codebooks = zlib.compress(codes.astype("<u2").tobytes()), len(codes)
        with self._transaction():
            self._database.execute(
                "DELETE FROM measurements WHERE key IN "
                "(SELECT key FROM takes WHERE key = ? AND audio != ?)",
                (key, name),
            )
            self._database.execute(
                "INSERT INTO takes VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET audio = excluded.audio, scale = excluded.scale, "
                "sample_rate = excluded.sample_rate, codes = excluded.codes, "
                "codebooks = excluded.codebooks",
                (
                    key,
                    _dump(description),
                    name,
                    audio.sample_rate,
                    audio.scale,
                    packed,
                    codebooks,
                    time.time(),
                ),
            )

    def throughput(self) -> dict[str, float]:
        """Number of takes, the hours that they took, and takes per hour.

        A pause of more than PAUSE_SECONDS between two takes does not count.
        """
        rows = self._rows("SELECT made FROM takes ORDER BY made")
        times = np.array([made for (made,) in rows])
        gaps = np.diff(times)
        hours = float(gaps[gaps <= PAUSE_SECONDS].sum()) / 3600
        rate = len(times) / hours if hours else float("nan")
        return {"takes": len(times), "hours": hours, "takes_per_hour": rate}

    def clip(self, key: str) -> Clip:
        """Read the audio of a take.

        Raises:
            TonearmError: no such take, or its audio is missing or damaged.
        """
        row = self._row("SELECT audio, scale FROM takes WHERE key = ?", key)
        if row is None:
            raise TonearmError(f"{self.folder} has no take {key}")
        name, scale = row
        file = self._audio_file(name)
        try:
            clip = StoredAudio.read(file, scale).clip
        except OSError:
            raise TonearmError(
                f"{file} is missing or damaged; remove it, and the next run makes it again"
            ) from None
        if hash_clip(clip) != name:
            raise TonearmError(
                f"{file} is not the audio that was stored; remove it, and the next run makes it "
                "again"
            )
        return clip

    def codes(self, key: str) -> np.ndarray:
        """Read the codes of a take, int64 [K, T].

        Raises:
            TonearmError: no such take, or it is processed audio, which has none.
        """
        row = self._row("SELECT codes, codebooks FROM takes WHERE key = ?", key)
        if row is None or row[0] is None:
            raise TonearmError(f"{self.folder} has no codes of a take {key}")
        packed, codebooks = row
        try:
            codes = np.frombuffer(zlib.decompress(packed), "<u2").reshape(codebooks, -1)
        except (zlib.error, ValueError, TypeError):
            raise _damaged(self.folder, f"the codes of take {key}") from None
        return codes.astype(np.int64)

    def _audio_file(self, name: str) -> Path:
        return self.folder / AUDIO / name[:2] / f"{name}.flac"

    # measurements

    def add_values(self, values: Sequence[Values]) -> None:
        """Record measurements, all of them or none."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?)",
                [
                    (one.key, one.group, one.fingerprint, _dump(one.arguments), _dump(one.record))
                    for one in values
                ],
            )

    def has_values(
        self, key: str, group: str, fingerprint: str, arguments: Mapping[str, str]
    ) -> bool:
        """Whether a take was measured by a group as it is now."""
        return self._row(
            "SELECT 1 FROM measurements WHERE key = ? AND family = ? AND fingerprint = ? "
            "AND arguments = ?",
            key,
            group,
            fingerprint,
            _dump(arguments),
        ) is not None  # fmt: skip

    # studies

    def set_study(
        self, name: str, details: Mapping[str, Any], fingerprints: Mapping[str, str]
    ) -> None:
        """Record what a study is, and the fingerprints by which its measurements are found."""
        with self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO studies VALUES (?, ?, ?)",
                (name, _dump(details), _dump(fingerprints)),
            )

    def set_stage(
        self, study: str, stage: str, trials: Sequence[StoredTrial], index: int = 0
    ) -> None:
        """Replace the trials of a stage of a study, and remove those of the stages after it, which
        depend on what it finds; their takes stay. Nothing changes where the trials are the same.

        Args:
            study: its name.
            stage: likewise.
            trials: in order.
            index: of the stage among those of the study.
        """
        rows = [
            (
                study,
                stage,
                index,
                position,
                trial.key,
                _dump(list(trial.groups)),
                _dump(trial.arguments),
                _dump(trial.facts),
            )
            for position, trial in enumerate(trials)
        ]
        with self._transaction():
            before = self._database.execute(
                "SELECT * FROM trials WHERE study = ? AND stage_index = ? ORDER BY position",
                (study, index),
            )
            if rows and before.fetchall() == rows:
                return
            self._database.execute(
                "DELETE FROM trials WHERE study = ? AND stage_index >= ?", (study, index)
            )
            self._database.executemany("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def studies(self) -> list[str]:
        """Names of the studies."""
        return [name for (name,) in self._rows("SELECT name FROM studies ORDER BY name")]

    def details(self, study: str) -> dict[str, Any]:
        """What was recorded of a study."""
        return self._study(study)[0]

    def fingerprints(self, study: str) -> dict[str, str]:
        """Fingerprint of each group of measures, by which its measurements are found."""
        return self._study(study)[1]

    def counts(self, study: str) -> dict[str, tuple[int, int]]:
        """Trials that are measured in all their groups, and trials in all, by stage."""
        found: dict[str, tuple[int, int]] = {}
        for stage, record in self._joined(study):
            done, count = found.get(stage, (0, 0))
            found[stage] = (done + (record is not None), count + 1)
        return found

    def records(self, study: str, stage: str | None = None) -> list[dict[str, Any]]:
        """Records of the trials that are measured: facts, `stage`, `take`, and measures.

        Args:
            study: its name.
            stage: of this one alone; None for all.

        Raises:
            TonearmError: no such study.
        """
        return [
            record
            for of_stage, record in self._joined(study)
            if record is not None and stage in (None, of_stage)
        ]

    def trials(self, study: str) -> list[tuple[str, StoredTrial]]:
        """Stage of each trial, and the trial, also of those that are not measured.

        Raises:
            TonearmError: no such study.
        """
        self._study(study)
        rows = self._rows(
            "SELECT stage, key, families, arguments, facts FROM trials WHERE study = ? "
            "ORDER BY stage_index, position",
            study,
        )
        with closing(rows):
            return [
                (
                    stage,
                    StoredTrial(
                        key,
                        tuple(self._load(families)),
                        self._load(arguments),
                        self._load(facts),
                    ),
                )
                for stage, key, families, arguments, facts in rows
            ]

    def _joined(self, study: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Each trial's stage and record, None where a measurement is missing."""
        fingerprints = self.fingerprints(study)
        measured: dict[tuple[str, str, str], dict[str, Any]] = {}
        rows = self._rows(
            "SELECT DISTINCT m.key, m.family, m.fingerprint, m.arguments, m.record "
            "FROM measurements m JOIN trials t ON t.key = m.key WHERE t.study = ?",
            study,
        )
        with closing(rows):  # damaged JSON must not leave a query open until the next collection
            for key, family, fingerprint, arguments, record in rows:
                if fingerprints.get(family) == fingerprint:
                    measured[key, family, arguments] = self._load(record)
        trials = self._rows(
            "SELECT stage, key, families, arguments, facts FROM trials WHERE study = ? "
            "ORDER BY stage_index, position",
            study,
        )
        with closing(trials):
            for stage, key, families, arguments, facts in trials:
                found = [
                    measured.get((key, family, arguments), measured.get((key, family, _dump({}))))
                    for family in self._load(families)
                ]
                whole = [values for values in found if values is not None]
                if len(whole) < len(found):
                    yield stage, None
                    continue
                record = {**self._load(facts), "stage": stage, "take": key}
                for values in whole:
                    record |= values
                yield stage, record

    def _study(self, name: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Details of a study, and fingerprints."""
        row = self._row("SELECT details, fingerprints FROM studies WHERE name = ?", name)
        if row is None:
            known = ", ".join(self.studies()) or "none"
            raise TonearmError(f"{self.folder} has no study {quoted(name)}; it has {known}")
        return self._load(row[0]), self._load(row[1])

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        return next(self._rows(query, *values), None)

    def _rows(self, query: str, *values: str) -> Generator[tuple[Any, ...], None, None]:
        with _errors(self.folder):
            yield from self._database.execute(query, values)

    def _load(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, TypeError):
            raise _damaged(self.folder, "a value is no JSON") from None


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    """Report what SQLite finds as one line."""
    try:
        yield
    except sqlite3.OperationalError as error:
        message = str(error)
        remedy = {
            "database or disk is full": "free some space, and start the same command again",
            "database is locked": "another process has used it for a minute; try again later",
        }.get(message, "check the folder's rights and its disk")
        raise TonearmError(f"{folder / DATABASE}: {message}; {remedy}") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise _damaged(folder, str(error)) from None


def _damaged(folder: Path, what: str) -> TonearmError:
    return TonearmError(
        f"{folder / DATABASE} is no store, or is damaged ({what}); choose another folder"
    )
