"""Instances, calls and channels, and the log of what they heard."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from worker.simulator.errors import KNOWN, Refusal

Gone = Literal["channel", "job", "instance"]


@dataclass(slots=True)
class Call:
    """One channel of a call; after ``end_after`` digits heard, ``gone_as`` of it ends."""

    instance_id: str
    job_id: str
    channel_id: str
    heard: int = 0
    gone: bool = False
    end_after: int | None = None
    gone_as: Gone = "channel"


class Calls:
    """Every call that this contact centre knows.

    In the open mode a job or channel that was never registered springs into being, live, at its first
    request; in the strict mode it does not exist.
    """

    def __init__(self, instances: Iterable[str], *, strict: bool) -> None:
        self.strict = strict
        self._instances = dict.fromkeys(instances, True)
        # False is one that has ended: it is kept, so that it answers so for ever.
        self._jobs: dict[tuple[str, str], bool] = {}
        self._channels: dict[tuple[str, str, str], Call] = {}

    def register(self, call: Call) -> None:
        """Make a live call, also in place of one that has ended."""
        self._instances[call.instance_id] = True
        self._jobs[call.instance_id, call.job_id] = True
        self._channels[call.instance_id, call.job_id, call.channel_id] = call

    def find(self, instance_id: str, job_id: str, channel_id: str) -> Call:
        """The live call, or raise `Refusal` with the NotExists that fits."""
        if not self._instances.get(instance_id, False):
            raise _not_exists("NotExists.InstanceId", instance_id)
        job = (instance_id, job_id)
        if not self._jobs.get(job, not self.strict):
            raise _not_exists("NotExists.JobId", job_id)
        call = self._channels.get((*job, channel_id))
        if call is None and not self.strict:
            call = Call(instance_id, job_id, channel_id)
            self.register(call)
        if call is None or call.gone:
            raise _not_exists("NotExists.ChannelId", channel_id, job_id)
        return call

    def heard_by(self, instance_id: str, job_id: str, channel_id: str) -> int:
        """How many digits the channel has heard so far; 0 for one that nobody knows yet."""
        call = self._channels.get((instance_id, job_id, channel_id))
        return 0 if call is None else call.heard

    def hear(self, call: Call) -> None:
        """Count a digit, and end the call where it was to end with it."""
        call.heard += 1
        if call.end_after is not None and call.heard >= call.end_after:
            self.end(call.instance_id, call.job_id, call.channel_id, call.gone_as)

    def end(self, instance_id: str, job_id: str, channel_id: str, gone: Gone) -> None:
        """End a channel, its whole job or its whole instance; none of them needs to be known before."""
        if gone == "instance":
            self._instances[instance_id] = False
        elif gone == "job":
            self._jobs[instance_id, job_id] = False
        else:
            key = (instance_id, job_id, channel_id)
            call = self._channels.get(key)
            if call is None:
                call = self._channels[key] = Call(instance_id, job_id, channel_id)
            call.gone = True


def _not_exists(code: str, *names: str) -> Refusal:
    return Refusal(code, KNOWN[code][1] % names)
