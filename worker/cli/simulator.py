"""``dtmf simulator``: the stand-in for CCC as a command."""

import asyncio
import os
import signal
from pathlib import Path

import click
from pydantic import ValidationError

from worker.simulator.admin import faults
from worker.simulator.config import DEMO_ACCOUNT, SimulatorConfig
from worker.simulator.gateway import Account
from worker.simulator.scene import Scene, Settings, Throttle
from worker.simulator.server import Simulator, start

_FILE = click.Path(dir_okay=False, path_type=Path)
_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("simulator")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8085, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--access-key-id", envvar="ALIBABA_CLOUD_ACCESS_KEY_ID", help="The key let in; default: made up.")
@click.option("--access-key-secret", envvar="ALIBABA_CLOUD_ACCESS_KEY_SECRET", help="Its secret.")
@click.option("--security-token", envvar="ALIBABA_CLOUD_SECURITY_TOKEN", help="Its token, if it is temporary.")
@click.option("--instance", "instances", multiple=True, help="A contact centre (repeatable); default: ccc-test.")
@click.option("--scene", "scene_file", type=_READABLE, help="JSON file with the faults to play.")
@click.option("--strict", is_flag=True, help="Refuse calls that were not registered.")
@click.option("--quota", type=click.FloatRange(min=0, min_open=True), help="Requests a second for all together.")
@click.option("--log", "log_file", type=_FILE, help="Append each digit heard and each request as JSON lines.")
@click.option("--tls-cert", type=_READABLE, help="Certificate (PEM): makes it HTTPS.")
@click.option("--tls-key", type=_READABLE, help="The certificate's key (PEM).")
def simulator(
    *,
    host: str,
    port: int,
    access_key_id: str | None,
    access_key_secret: str | None,
    security_token: str | None,
    instances: tuple[str, ...],
    scene_file: Path | None,
    strict: bool,
    quota: float | None,
    log_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Stand in for CCC: check and execute SendDtmfSignaling on this machine.

    Prints its address and the variables that point a worker at it. docs/simulator.md describes the scenes and
    the control API under /_sim/.
    """
    settings: dict[str, object] = {"strict": True} if strict else {}
    if quota is not None:
        settings["quota"] = Throttle(rate=quota)
    try:
        config = SimulatorConfig(
            host=host,
            port=port,
            accounts=(_account(access_key_id, access_key_secret, security_token),),
            instances=instances or (os.environ.get("CCC_INSTANCE_ID") or "ccc-test",),
            settings=Settings.model_validate(settings),
            scene=Scene() if scene_file is None else _scene(scene_file),
            log_file=log_file,
            tls_cert=tls_cert,
            tls_key=tls_key,
        )
    except ValidationError as error:
        raise click.UsageError(faults(error)["error"]) from None
    try:
        asyncio.run(_serve(config))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def _account(key_id: str | None, secret: str | None, token: str | None) -> Account:
    if not key_id and not secret:
        return DEMO_ACCOUNT
    if not key_id or not secret:
        raise click.UsageError("an access key needs both its id and its secret")
    return Account(id=key_id, secret=secret, token=token or None)


def _scene(path: Path) -> Scene:
    try:
        return Scene.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise click.UsageError(f"{path.name}: {faults(error)['error']}") from None


async def _serve(config: SimulatorConfig) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    running = await start(config)
    try:
        _announce(running, config)
        await stopped.wait()
    finally:
        await running.stop()


def _announce(running: Simulator, config: SimulatorConfig) -> None:
    """Say where it listens, and what a worker needs to find it."""
    account = config.accounts[0]
    demo = account == DEMO_ACCOUNT
    click.echo(f"simulator listening on {running.url}")
    click.echo("Point a worker at it with:")
    click.echo(f"  export CCC_ENDPOINT={running.url}")
    click.echo(f"  export CCC_INSTANCE_ID={config.instances[0]}")
    # A secret that is not made up stays where it came from.
    click.echo(f"  export ALIBABA_CLOUD_ACCESS_KEY_ID={account.id if demo else '(as given)'}")
    click.echo(f"  export ALIBABA_CLOUD_ACCESS_KEY_SECRET={account.secret if demo else '(as given)'}")
    if account.token is not None:
        click.echo("  export ALIBABA_CLOUD_SECURITY_TOKEN=(as given)")
