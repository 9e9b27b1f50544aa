"""Extensions: a server with a set end may run longer."""

from hashlib import sha256

from hublaunch.launch.acceptance.idempotency import checked_key
from hublaunch.launch.caller import Caller
from hublaunch.launch.ports import Extension, SessionEnds
from hublaunch.launch.rules.session import SessionTerms


class Extensions:
    """Extends the sessions of ready launches, within the operator's limits."""

    def __init__(self, session_ends: SessionEnds, *, terms: SessionTerms) -> None:
        self._ends = session_ends
        self.terms = terms

    async def extend(self, launch_id: str, *, seconds: int, key: str | None, by: Caller) -> None:
        """Postpone the end of the launch's server by this much, and return once that is stored.

        A request repeated with its Idempotency-Key (`key`) extends once. Raises InvalidRequest if the header is not a
        valid key, and the errors of `SessionEnds.extend`.
        """
        digest = None if key is None else sha256(checked_key(key).encode()).hexdigest()
        extension = Extension(launch_id=launch_id, seconds=seconds, key=digest)
        await self._ends.extend(extension, terms=self.terms, by=by)
