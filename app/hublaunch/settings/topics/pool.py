"""Settings of the warm pools."""

from pydantic import Field

from hublaunch.settings.topics import Topic


class PoolSettings(Topic):
    """Warm servers: docs/warm-pool.md."""

    max_warm_servers: int = Field(100, ge=0)
    """Maximum number of servers that the pools of all environments keep ready, over all replicas. 0 turns the pools
    off.
    """
