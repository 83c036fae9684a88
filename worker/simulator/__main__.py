"""``python -m worker.simulator``: the command without the rest of ``dtmf``."""

from worker.cli.simulator import simulator

if __name__ == "__main__":
    simulator()
