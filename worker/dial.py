"""The dial string of a task: keys, and pauses between them, as Twilio, Telnyx and Bandwidth write them."""

from dataclasses import dataclass

from worker.errors import InvalidTask

KEYS = frozenset("0123456789*#")
PAUSES_MS = {"w": 500, "W": 1000, ",": 500}
MAX_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Dial:
    """What a dial string says. Its repr shows no key.

    Attributes:
        keys: the keys, one digit each.
        lead_ms: the pause before the first key.
        pauses_ms: for each key the pause behind it, in ms; the last one delays the channel's next task.
    """

    keys: str
    lead_ms: int
    pauses_ms: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Dial({len(self.keys)} keys)"


def parse_dial(dtmf: object) -> Dial:
    """Read a dial string.

    Args:
        dtmf: 1 to 50 characters of 0-9 * #, and the pauses w (0.5 s), W (1 s) and comma (0.5 s).

    Raises:
        InvalidTask: naming the character that is not allowed and its position, and nothing beside it.
    """
    if not isinstance(dtmf, str):
        raise InvalidTask(f"dtmf must be a string, not {type(dtmf).__name__}: a number would lose its leading zeros")
    if len(dtmf) > MAX_LENGTH:
        raise InvalidTask(f"dtmf has {len(dtmf)} characters; at most {MAX_LENGTH} fit into one task")
    keys: list[str] = []
    pauses = [0]
    for position, character in enumerate(dtmf, start=1):
        if character in KEYS:
            keys.append(character)
            pauses.append(0)
        elif character in PAUSES_MS:
            pauses[-1] += PAUSES_MS[character]
        else:
            raise InvalidTask(
                f"dtmf: character {character!a} at position {position} is not allowed; "
                "use 0-9 * # and the pauses w W and comma"
            )
    if not keys:
        raise InvalidTask("dtmf holds no key; at least one of 0-9 * # is needed")
    return Dial("".join(keys), pauses[0], tuple(pauses[1:]))
