"""What `dtmf doctor` looks at, a function a check, in the order in which it is shown."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redis.exceptions import RedisError

from worker.channel.server import explain
from worker.cli.checks import api, fleet, here, server
from worker.cli.checks.finding import Finding, Level, Patient
from worker.errors import DtmfError

__all__ = ["Finding", "Level", "Patient", "examine"]


@dataclass(frozen=True, slots=True)
class _Check:
    """A check: its name, what it does, and what must not be out of reach for it."""

    name: str
    look: Callable[[Patient], Iterator[Finding]]
    needs: tuple[str, ...] = ()


_CHECKS = (
    _Check("settings", here.settings),
    _Check("secret keys", here.secret_keys),
    _Check("redis", server.redis),
    _Check("memory", server.memory, needs=("redis",)),
    _Check("persistence", server.persistence, needs=("redis",)),
    _Check("clock", server.clock, needs=("redis",)),
    _Check("credentials", here.credentials),
    _Check("api", api.api),
    _Check("api clock", api.api_clock, needs=("api",)),
    _Check("workers", fleet.workers, needs=("redis", "writes")),
    _Check("follower", fleet.follower, needs=("redis",)),
    _Check("intake", fleet.intake, needs=("redis",)),
    _Check("account", fleet.refused, needs=("redis",)),
    _Check("waiting", fleet.waiting, needs=("redis",)),
    _Check("overdue", fleet.overdue, needs=("redis",)),
)


def examine(patient: Patient) -> Iterator[Finding]:
    """Every check, whatever the others found; one that cannot be made says why."""
    for check in _CHECKS:
        reasons = [patient.out_of_reach[need] for need in check.needs if need in patient.out_of_reach]
        if reasons:
            yield Finding(check.name, Level.SKIPPED, f"because {reasons[0]}")
        else:
            yield from _carefully(check, patient)


def _carefully(check: _Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check.look(patient)
    except RedisError as error:
        yield Finding(check.name, Level.FAULT, explain(error))
    except DtmfError as error:
        yield Finding(check.name, Level.FAULT, str(error))
    except Exception as error:  # noqa: BLE001 - a doctor looks at all the rest, whatever one check stumbles over
        yield Finding(check.name, Level.FAULT, f"could not be checked ({type(error).__name__})")
