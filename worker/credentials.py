"""From settings to the provider of credentials, the same for workers and for commands."""

from config.settings import Settings
from worker.ccc import BadCredentials, CredentialsProvider, RefreshingCredentials, StaticCredentials


def provider_of(settings: Settings) -> CredentialsProvider:
    """The provider of the first source that is set: AccessKey, service account, machine. Not started.

    Raises:
        BadCredentials: an AccessKey that cannot be one, or a package that is missing.
    """
    if settings.ALIBABA_CLOUD_ACCESS_KEY_ID and settings.ALIBABA_CLOUD_ACCESS_KEY_SECRET:
        return StaticCredentials(settings.static_credentials())
    try:
        # Only here: the vendor's library is large, and reads its environment while it is imported.
        from worker.ccc.roles import MachineRole, ServiceAccountRole  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = error.name
    else:
        arn, provider = settings.ALIBABA_CLOUD_ROLE_ARN, settings.ALIBABA_CLOUD_OIDC_PROVIDER_ARN
        if arn and provider and settings.ALIBABA_CLOUD_OIDC_TOKEN_FILE:
            return RefreshingCredentials(ServiceAccountRole(arn, provider, settings.ALIBABA_CLOUD_OIDC_TOKEN_FILE))
        return RefreshingCredentials(MachineRole(settings.ALIBABA_CLOUD_ECS_METADATA or ""))
    raise BadCredentials(
        f"Credentials of a role need the extra `roles` of this package (module {missing} is missing): "
        "install ccc-dtmf-worker[roles], or what requirements.txt lists."
    )
