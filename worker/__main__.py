"""`python -m worker`: the command `dtmf` where the package itself is not installed."""

from worker.cli import main

main()
