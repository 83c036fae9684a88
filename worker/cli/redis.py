"""`dtmf redis`."""

import signal
import tempfile
import threading
from pathlib import Path

import click

from worker.local.redis import LocalRedis, free_port


@click.command()
@click.option("--port", default=6379, show_default=True, help="TCP port on loopback; 0 for a free one.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Keep the data here; else nowhere.")
def redis(port: int, folder: Path | None) -> None:
    """Run an embedded Redis (Valkey) on this machine, set up as the worker needs it, until Ctrl-C."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    with tempfile.TemporaryDirectory(prefix="dtmf-redis-") as temporary:
        server = LocalRedis(folder or Path(temporary), port=port or free_port())
        with server:
            click.echo(f"Redis listening on 127.0.0.1:{server.port}; point producers and workers at it with:")
            click.echo(f"  export REDIS_URL={server.url}")
            while not told.wait(0.5):
                if not server.is_running():
                    raise click.ClickException(f"the embedded server has ended:\n{server.log()}")
    click.echo("stopped")
