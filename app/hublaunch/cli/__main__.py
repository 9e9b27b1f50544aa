"""`python -m hublaunch.cli`."""

from hublaunch.cli import main

main()
