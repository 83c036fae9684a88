"""The command line, `dtmf`: one file a command, loaded when it is called."""

from importlib import import_module

import click

_COMMANDS = {
    "demo": "the main job on an embedded Redis and the simulator, with a verdict",
    "redis": "an embedded Redis (Valkey) for trying things out",
    "secret": "make a key for DTMF_SECRET_KEYS",
    "send": "press keys on a channel",
    "simulator": "the stand-in for the API",
    "status": "how a task stands",
}


class _Lazy(click.Group):
    """Commands are imported when they are called: `dtmf secret` needs neither Celery nor settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"worker.cli.{name}"), name)
        command.short_help = _COMMANDS[name]
        return command


@click.group(cls=_Lazy)
@click.version_option(package_name="ccc-dtmf-worker")
def main() -> None:
    """Key presses to Alibaba Cloud CCC: in order per channel, once, in time."""
