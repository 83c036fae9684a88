"""Loads the Lua scripts: one verb a file, with the parts that its header names in `include:` put before it."""

import re
from functools import cache
from importlib.resources import files

from redis import Redis
from redis.commands.core import Script

_INCLUDE = re.compile(r"^--\[\[ include: ([\w ]+)$", re.MULTILINE)


@cache
def script_text(name: str) -> str:
    """The whole text of lua/<name>.lua as the server runs it."""
    folder = files("worker.channel") / "lua"
    shebang, body = (folder / f"{name}.lua").read_text(encoding="utf-8").split("\n", 1)
    include = _INCLUDE.search(body)
    parts = include[1].split() if include else []
    shared = [(folder / "shared" / f"{part}.lua").read_text(encoding="utf-8") for part in parts]
    return "\n".join([shebang, *shared, body])


def load_script(client: "Redis", name: str) -> Script:
    """The script as a callable; it is sent by its digest, and in full once to a server that does not know it."""
    return client.register_script(script_text(name))
