"""`hublaunch serve` with its fence switched off: a run of the chaos with it must fail.

    make chaos MUTANT=fence

A frozen owner that wakes then writes into a log that somebody else has gone on with.
"""

from unittest import mock

from hublaunch.cli import main

if __name__ == "__main__":
    with mock.patch("hublaunch.store.append.check_fence", autospec=True, return_value=None):
        main()
