"""The tables: launches with their attempts, events and Hub calls, their owners, the queue, limits, and invitations."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
    literal_column,
    text,
)
from sqlalchemy.engine import Dialect


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored to the microsecond and returned in UTC, even by a database without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _partial(name: str, *columns: Column[Any], where: ColumnElement[bool]) -> None:
    """Add an index of only the rows for which `where` is true, so that it stays small."""
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


launches = Table(
    "launches",
    metadata,
    Column("id", Text, primary_key=True),  # a ULID, so its order is that of acceptance
    Column("caller_kind", Text, nullable=False),
    Column("caller_key", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("repo_url", Text, nullable=False),
    Column("extra_args", JSON, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deadline_at", Instant, nullable=False),
    Column("cancel_requested_at", Instant),
    Column("ended_at", Instant),
    Column("stopped_at", Instant),
    Column("stopped_by", Text),
    Column("attempt", Integer, nullable=False),  # the number of the latest
    Column("last_seq", Integer, nullable=False),
    Column("launching_at", Instant),
    Column("owner", Text),  # the process that has it, or had it last; NULL once the launch is ready
    Column("fence", Integer, nullable=False, server_default="1"),  # grows with every new owner
    Column("looked_up_at", Instant),  # when the Hub was last asked about a ready launch
    Column("key_scope", Text),  # SHA-256 of the Idempotency-Key and its caller
    Column("key_request", Text),  # SHA-256 of the request that came with the key
    Column("admitted_at", Instant),  # NULL while in the queue
    Column("time_left_s", Float, nullable=False, server_default="0"),  # counted from the next admission
    # The names that a launch counts under (`rules/quota_rules.py`). NULL without one, and in rows of older releases.
    Column("caller_name", Text),
    Column("repo_name", Text),
    Column("image_name", Text),
    Column("path", Text, nullable=False, server_default=text("''")),
    # The caller whose ended launches are bounded: an IPv6 /48. NULL for API keys and in rows of an older release.
    Column("history_of", Text),
    Column("image_digest", Text),  # what the registry had for the image before the Hub was asked
    Column("is_pinned", Boolean, nullable=False, server_default=false()),  # the spawner gets the digest
    Column("has_pulled", Boolean, nullable=False, server_default=false()),  # its image, since it was admitted
    Column("estimate", JSON(none_as_null=True)),  # of when it will be ready; NULL while in the queue
    Column("ref", Text, nullable=False, server_default=text("''")),
    Column("environment", Text),  # NULL if the request named the image
    Column("size", Text),  # NULL if the spawner decides
    Column("size_options", JSON(none_as_null=True)),
    Column("silence_s", Float, nullable=False, server_default="0"),  # the longest time at the Hub without an event
    Column("content", Text),  # the program that fetches the repository; NULL if none does
    Column("opens", Text, nullable=False, server_default=text("''")),
    Column("will_end_at", Instant),  # when the server of a ready launch is to be stopped
    Column("end_warned_at", Instant),  # when the warning of that end was published; NULL again after an extension
    Column("pool", Text),  # the key of the warm pool; NULL if no pool could have served it
    Column("pool_miss", Text),  # why the pool did not serve it
    Column("claimed_from", Text),  # the member whose server it has
    Index("ix_launches_of_caller", "caller_kind", "caller_key", "id"),
    Index("ux_launches_key_scope", "key_scope", unique=True),
)
_partial("ix_launches_under_way", launches.c.id, where=launches.c.ended_at.is_(None))

IS_ACTIVE = launches.c.status.in_([literal_column(f"'{name}'") for name in ("waiting", "launching", "ready")])
"""In progress or ready. With literals, so that SQLite sees that the indexes below hold all these rows."""
_partial("ix_launches_active_of_caller", launches.c.caller_kind, launches.c.caller_key, where=IS_ACTIVE)
_partial("ix_launches_active_caller_name", launches.c.caller_name, where=IS_ACTIVE)
_partial("ix_launches_active_repo_name", launches.c.repo_name, where=IS_ACTIVE)
_partial("ix_launches_active_image_name", launches.c.image_name, where=IS_ACTIVE)
_partial("ix_launches_active_size", launches.c.size, where=IS_ACTIVE)

IS_READY = launches.c.status == literal_column("'ready'")
"""With a literal, as above."""
_partial("ix_launches_ready", launches.c.looked_up_at, where=IS_READY)

_partial("ix_launches_will_end", launches.c.will_end_at, where=IS_READY & launches.c.will_end_at.is_not(None))

IS_MEMBER = launches.c.caller_kind == literal_column("'pool'")
"""A member of a warm pool. With a literal, as above."""
_partial("ix_launches_members", launches.c.pool, launches.c.id, where=IS_MEMBER & IS_ACTIVE)
_partial("ix_launches_of_pool", launches.c.pool, launches.c.id, where=launches.c.pool.is_not(None))

HAS_ENDED = launches.c.status.in_([literal_column(f"'{name}'") for name in ("failed", "cancelled", "stopped")])
"""Ended for good: no other status follows. With literals, as above."""
_partial("ix_launches_history", launches.c.history_of, launches.c.id, where=HAS_ENDED)

IS_QUEUED = (
    launches.c.ended_at.is_(None)
    & launches.c.admitted_at.is_(None)
    & (launches.c.status == literal_column("'waiting'"))  # a launch with a warm server was never admitted either
)
"""In the queue."""

IS_AT_HUB = launches.c.ended_at.is_(None) & (launches.c.admitted_at.is_(None) == false())
"""Admitted and in progress. With IS NOT NULL, SQLite would use the index of admissions, which has the whole history."""

NEVER_ASKED = launches.c.launching_at.is_(None) & launches.c.ended_at.is_not(None)
"""Ended in the queue, before the first request to the Hub."""
_partial("ix_launches_never_asked", launches.c.ended_at, where=NEVER_ASKED)

_partial("ix_launches_admitted", launches.c.admitted_at, where=launches.c.admitted_at.is_not(None))

admission = Table(
    "admission",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row: 1
    Column("paused_until", Instant),
    Column("grown", Integer, nullable=False, server_default="0"),  # spawns that succeeded since the last failed one
    Column("sound_since", Instant),  # the Hub counts no earlier failure
    Column("hub", Text),  # a name that changes with each start of the Hub
    Column("draining_since", Instant),  # new launches are refused, and the queue is held; NULL otherwise
)

spawn_failures = Table(
    "spawn_failures",
    metadata,
    Column("launch_id", Text, primary_key=True),
    Column("image", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("cause", Text),  # NULL if it was not the image's fault
)

images = Table(
    "images",
    metadata,
    Column("image", Text, primary_key=True),
    Column("ready_at", Instant),
    Column("sound_since", Instant, nullable=False),  # no earlier failure counts against it
)

pool_demand = Table(
    "pool_demand",
    metadata,
    Column("pool", Text, primary_key=True),
    Column("count", Float, nullable=False),  # of launches that the pool served or should have served, which decays
    Column("at", Instant, nullable=False),  # when the count was taken
)

pool_orders = Table(
    "pool_orders",
    metadata,
    Column("name", Text, primary_key=True),
    Column("is_drained", Boolean, nullable=False),
    Column("at", Instant, nullable=False),  # failed starts before then no longer count
)

queue_turns = Table(
    "queue_turns",
    metadata,
    Column("name", Text, primary_key=True),
    Column("turn", Float, nullable=False),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", Text, primary_key=True),  # the limit, and its subject
    Column("free_at", Instant, nullable=False),  # when the limit is entirely free again; the row is not needed then
)

launch_owners = Table(
    "launch_owners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("leased_until", Instant, nullable=False),  # by the database's clock
)

launch_attempts = Table(
    "launch_attempts",
    metadata,
    Column("launch_id", ForeignKey(launches.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("username", Text, nullable=False),
    Column("server_name", Text, nullable=False),
    Column("creates_user", Boolean, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("cleaned_at", Instant),
    Column("clean_at", Instant),  # when it is due for clean-up; NULL while in use and once cleaned up
    Column("server_started_at", Instant),
)
_partial("ix_launch_attempts_clean_at", launch_attempts.c.clean_at, where=launch_attempts.c.clean_at.is_not(None))

launch_events = Table(
    "launch_events",
    metadata,
    Column("launch_id", ForeignKey(launches.c.id, ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("url", Text),
    Column("sealed_token", LargeBinary),
    Column("token_expires_at", Instant),
    Column("problem", JSON(none_as_null=True)),
    Column("stage", Text),
    Column("raw_event", JSON(none_as_null=True)),  # of Kubernetes; never shown
    Column("estimate", JSON(none_as_null=True)),  # if it changes with this event
    Column("stalled_since", Instant),
    Column("stalled_reason", Text),
    Column("content_fault", Text),
    sqlite_with_rowid=False,  # one tree in the order in which a log is read, instead of a table and an index
)
start_times = Table(
    "start_times",
    metadata,
    Column("launch_id", ForeignKey(launches.c.id, ondelete="CASCADE"), primary_key=True),
    Column("image", Text, nullable=False),  # with the digest where it was known
    Column("size", Text, nullable=False, server_default=text("''")),
    Column("ready_at", Instant, nullable=False),
    Column("seconds", Float, nullable=False),  # since the admission
    Column("pulled", Boolean, nullable=False),
    Column("silence_s", Float),  # the longest time without an event; NULL if unknown
    Index(
        "ix_start_times_of_image", "image", "size", "ready_at", "launch_id", "seconds", "pulled"
    ),  # all that a read needs
    Index("ix_start_times_ready_at", "ready_at", "silence_s"),
    sqlite_with_rowid=False,
)

hub_calls = Table(
    "hub_calls",
    metadata,
    Column("launch_id", ForeignKey(launches.c.id, ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("slowest_s", Float, nullable=False),
    sqlite_with_rowid=False,
)

launch_extensions = Table(
    "launch_extensions",
    metadata,
    Column("launch_id", ForeignKey(launches.c.id, ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),  # SHA-256 of the Idempotency-Key
    Column("seconds", Integer, nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False),  # of the code, which is not stored
    Column("environments", JSON, nullable=False),
    Column("sizes", JSON, nullable=False),
    Column("most", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("repo_url", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("revoked_at", Instant),
    Index("ux_invitations_sha256", "sha256", unique=True),
)

IS_LATEST = (launch_attempts.c.launch_id == launches.c.id) & (launch_attempts.c.number == launches.c.attempt)
"""The attempt is the latest of its launch."""
IS_LAST = (launch_events.c.launch_id == launches.c.id) & (launch_events.c.seq == launches.c.last_seq)
"""The event is the last of its launch."""
