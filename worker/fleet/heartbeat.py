"""Renews the leases of a worker's runs, all in one call, while each of them makes progress."""

from collections.abc import Iterator
from contextlib import contextmanager

from worker.channel.queue import ChannelQueue
from worker.clock import clock
from worker.fleet.loop import Loop
from worker.lease import AtWork, Run


class Heartbeat:
    """The runs of this process, and the thread that vouches for them."""

    def __init__(self, queue: ChannelQueue, every: float) -> None:
        """Beat every so many seconds, on a queue whose calls time out within a lease."""
        self._queue = queue
        self._runs: dict[str, Run] = {}
        self._loop = Loop("heartbeat", self.beat, every)
        self.start, self.stop = self._loop.start, self._loop.stop

    @contextmanager
    def __call__(self, run: Run) -> Iterator[Run]:
        """Renew the run's lease while the context lasts."""
        self._runs[run.token] = run
        try:
            yield run
        finally:
            del self._runs[run.token]

    def __len__(self) -> int:
        return len(self._runs)

    def at_work(self) -> list[AtWork]:
        """The tasks whose digits are being sent."""
        return [run.at_work for run in list(self._runs.values()) if run.at_work]

    def beat(self) -> None:
        """Renew the leases of the runs that are inside a step that they announced; tell the others' loss."""
        now = clock()
        runs = [run for run in list(self._runs.values()) if run.busy_until > now and not run.lost]
        while runs:
            # A channel may have come back to this process while a run that lost it still waits for its answer.
            # The queue answers by channel, so the two are asked for one after the other.
            by_channel = {run.ch: run for run in runs}
            lost = set(self._queue.beat((run.ch, run.token) for run in by_channel.values()))
            for ch, run in by_channel.items():
                if ch in lost:
                    run.lost = True
                else:
                    run.vouched = now
            runs = [run for run in runs if by_channel[run.ch] is not run]
