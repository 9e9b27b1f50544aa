"""`hublaunch serve` whose claims leave the members of warm pools ready. A chaos run with it must fail.

    make chaos MUTANT=claim WARM=10

Without the change that a claim makes to its member, a launch gets a server that another launch has.
"""

from unittest import mock

from hublaunch.cli import main
from hublaunch.launch.model import Status
from hublaunch.store import pool_claims

if __name__ == "__main__":
    with mock.patch.object(pool_claims, "_TAKE", pool_claims._TAKE.values(status=Status.READY.value)):
        main()
