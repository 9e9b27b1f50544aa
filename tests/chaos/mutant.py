"""`hublaunch serve` with its fence switched off. A chaos run with it must fail.

    make chaos MUTANT=fence

Without the fence, a frozen owner that wakes up writes into a log that another process has continued.
"""

from unittest import mock

from hublaunch.cli import main

if __name__ == "__main__":
    with mock.patch("hublaunch.store.append.check_fence", autospec=True, return_value=None):
        main()
