"""What a simulator is started with."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from worker.simulator.gateway import Account
from worker.simulator.scene import Model, Scene, Settings

DEMO_ACCOUNT = Account(id="LTAIsimulatorDemoKeyId01", secret="simulatorDemoSecretOfNoAccount")  # noqa: S106 - made up


class SimulatorConfig(Model):
    """Where to listen, whom to let in, how to behave.

    ``port`` 0 takes a free one. ``keep_requests``: how many requests the log keeps. ``log_file`` is appended
    to. ``tls_cert`` and ``tls_key`` (PEM) go together and make it HTTPS.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    accounts: Annotated[tuple[Account, ...], Field(min_length=1)] = (DEMO_ACCOUNT,)
    instances: tuple[str, ...] = ("ccc-test",)
    settings: Settings = Settings()
    scene: Scene = Scene()
    keep_requests: Annotated[int, Field(ge=1)] = 200_000
    log_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self
