"""``python -m mlops_kit``: the command line, for where the script is not on PATH."""

from mlops_kit.cli import main

main()
