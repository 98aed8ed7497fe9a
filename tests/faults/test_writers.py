"""Thirty-two who move one branch at once, twenty times over."""

from __future__ import annotations

from pathlib import Path

from mlops_kit.datasets import commit as verb
from mlops_kit.datasets import pointers
from mlops_kit.datasets.commit import CommitRequest
from mlops_kit.datasets.history import log
from mlops_kit.errors import ConflictError
from tests.commits import NOW, PETS
from tests.faults.harness import unsound
from tests.faults.scenarios import source
from tests.faults.world import World, serve
from tests.lakes import write_files
from tests.stores import LAKE, race

WRITERS, ROUNDS = 32, 20


def test_in_every_round_one_wins_and_the_others_lose_nothing(tmp_path: Path) -> None:
    with serve() as s3:
        world = World.at(s3.url, tmp_path)
        won: list[str] = []
        stored: set[str] = set()
        for number in range(WRITERS):
            write_files(tmp_path / f"w{number}", {"mine": f"{number}"})
        for turn in range(ROUNDS):
            plans = []
            for number in range(WRITERS):
                asked = CommitRequest(PETS, source(world, f"w{number}"), f"{turn}", f"writer {number}")
                plans.append(verb.plan(world.lake, asked, NOW))
            # The winner of the turn before has nothing new to say.
            writers = [planned for planned in plans if planned.changed]
            outcomes = race(len(writers), lambda number, writers=writers: verb.execute(world.lake, writers[number]))
            winners = [
                planned for planned, done in zip(writers, outcomes, strict=True) if not isinstance(done, Exception)
            ]
            assert len(winners) == 1
            for planned, done in zip(writers, outcomes, strict=True):
                if planned is not winners[0]:
                    assert isinstance(done, ConflictError)
                    assert planned.commit.id in str(done.hint), "it is told which commit is stored"
                    assert f"dataset log {PETS}@main" in str(done.hint), "and how to see what is new"
            won.append(winners[0].commit.id)
            stored |= {planned.commit.id for planned in writers}
            found = pointers.read(world.lake, PETS, "main")
            assert found is not None
            assert found.commit == won[-1]
        assert [header.id for header in log(world.lake, PETS, won[-1]).commits] == won[::-1], (
            "each built upon the one before"
        )
        visible = {key.rpartition("/")[2].partition(".")[0] for key in s3.snapshot(LAKE) if "/commits/" in key}
        assert visible == stored
        assert list(unsound(s3, LAKE)) == []
        world.close()
