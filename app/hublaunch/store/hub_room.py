"""The launches at the Hub in SQL, and how many more fit there as far as the guard allows."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from hublaunch.launch.rules.guard import Failing, Guard, Headroom, SpawnHistory, known_as
from hublaunch.store import spawn_history
from hublaunch.store.tables import IS_AT_HUB, IS_MEMBER, launches

_AT_HUB = (
    select(launches.c.image, IS_MEMBER.label("is_member"), func.count().label("launches"))
    .where(IS_AT_HUB)
    .group_by(launches.c.image, IS_MEMBER)
)


@dataclass(frozen=True, slots=True)
class HubRoom:
    """What is at the Hub, and what the guard knows."""

    at_hub: Mapping[str, int]
    """Launches at the Hub, by image (`known_as`)."""
    members: int
    """Those of them that are members of warm pools."""
    failing: Mapping[str, Failing]
    """Images that are refused."""
    run: spawn_history.Run
    history: SpawnHistory

    @classmethod
    def read(cls, connection: Connection, guard: Guard, images: Collection[str]) -> "HubRoom":
        """Return the room for launches of these images."""
        # Launches at the Hub are read before spawn outcomes: a spawn that ends in between counts twice, not never.
        at_hub, members = Counter[str](), 0
        for row in connection.execute(_AT_HUB):
            at_hub[known_as(row.image)] += row.launches
            members += row.launches if row.is_member else 0
        blamed, run = spawn_history.blamed(connection), spawn_history.run(connection)
        of_interest = {*images, *at_hub, *(failure.image for failure in blamed)}
        proven = spawn_history.proven(connection, of_interest)
        failing = guard.failing(blamed, proven=proven)
        history = SpawnHistory(proven=proven, blamed=blamed, failing=failing, failures=run.failures, grown=run.grown)
        return cls(at_hub=at_hub, members=members, failing=failing, run=run, history=history)

    def headroom(self, guard: Guard, *, most: int) -> Headroom:
        """Return the launches that may be admitted now, if `most` may be at the Hub at once."""
        return Headroom(guard, self.history, most=most, at_hub=self.at_hub)

    @property
    def launches(self) -> int:
        """The launches at the Hub."""
        return sum(self.at_hub.values())
