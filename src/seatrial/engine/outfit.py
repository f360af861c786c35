"""What a version needs before a worker can start: its manifest, its environment, its weights, its secrets."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from seatrial.domain.credentials import KeyPair
from seatrial.domain.endpoint import EndpointVersion, VersionSettings
from seatrial.domain.errors import Unproven
from seatrial.domain.work import ContainerImage, Program, WorkerSpec
from seatrial.engine.keyring import Keyring
from seatrial.package.manifest import Manifest, read_manifest
from seatrial.package.target import Target
from seatrial.ports.packages import Environments, Images, PackageStore, Progress, WeightStore

SecretSource = Callable[[str], str]  # "env:NAME" or "file:PATH" -> the value; raises Unproven


@dataclass(frozen=True, slots=True)
class Outfit:
    """All that is needed to start workers of a version."""

    manifest: Manifest
    package: Path
    python: Path
    weights: Mapping[str, Path] = field(default_factory=dict)
    image: ContainerImage | None = None


class Outfitter:
    """Finds or makes the parts of an outfit, and turns it into worker specs."""

    def __init__(
        self,
        packages: PackageStore,
        environments: Environments,
        weights: WeightStore,
        images: Images,
        secrets: SecretSource,
        keyring: Keyring,
        scratch: Path,
        remains: Callable[[EndpointVersion], Path],
        server_url: Callable[[], str],
    ) -> None:
        """`remains` is where workers of a version on trial leave what is worth a look."""
        self._packages = packages
        self._environments = environments
        self._weights = weights
        self._images = images
        self._secrets = secrets
        self._keyring = keyring
        self._scratch = scratch
        self._remains = remains
        self._server_url = server_url

    def manifest(self, version: EndpointVersion) -> Manifest:
        """What the stored package says of itself. Raises Unproven."""
        root = self._packages.path(version.package)
        if not root.is_dir():
            remedy = "Deploy it again."
            raise Unproven("inspect", f"the stored package is gone: {root.name}", details={"remedy": remedy})
        return read_manifest(root)

    async def target(self, version: EndpointVersion, manifest: Manifest, isolation: str | None) -> Target:
        """Where it will run, as an inspection needs to know."""
        python = version.settings.python or manifest.python
        try:
            target = await self._environments.survey(manifest.requirements, python, manifest.packages)
        except Unproven:  # the environment stage comes to the same end, and says it
            target = Target(modules=None)
        return replace(target, isolation=isolation)

    async def python(self, version: EndpointVersion, manifest: Manifest, progress: Progress) -> Path:
        """The interpreter of its environment, built if need be. Raises Unproven."""
        python = version.settings.python or manifest.python
        return await self._environments.prepare(manifest.requirements, python, progress, manifest.packages)

    async def image(self, version: EndpointVersion, manifest: Manifest, progress: Progress) -> ContainerImage | None:
        """Its container image, if it has one, pulled or loaded if need be. Raises Unproven."""
        if manifest.image is None:
            return None
        return await self._images.prepare(manifest.image, self._packages.path(version.package), progress)

    async def weights(self, version: EndpointVersion, manifest: Manifest, progress: Progress) -> dict[str, Path]:
        """Its weights, fetched if need be: path inside the package -> read-only content. Raises Unproven."""
        root = self._packages.path(version.package)
        return {one.path: await self._weights.fetch(one, root, progress) for one in manifest.weights}

    async def complete(self, version: EndpointVersion, progress: Progress) -> Outfit:
        """Everything at once, for a version that was proved before. Raises Unproven."""
        manifest = self.manifest(version)
        python = await self.python(version, manifest, progress)
        image = await self.image(version, manifest, progress)
        weights = await self.weights(version, manifest, progress)
        return Outfit(manifest, self._packages.path(version.package), python, weights, image)

    def spec(self, version: EndpointVersion, outfit: Outfit) -> WorkerSpec:
        """A spec for one more worker, with a scratch folder of its own. Raises Unproven: a secret is missing."""
        settings, manifest = version.settings, outfit.manifest
        tasks = manifest.contract.tasks
        keys = self._keyring.for_worker(version.endpoint_name)
        return WorkerSpec(
            endpoint_name=version.endpoint_name,
            version_id=version.id,
            layout=manifest.layout,
            package=outfit.package,
            python=outfit.python,
            scratch=self._scratch / f"{version.endpoint_name}-{uuid.uuid4().hex[:12]}",
            env=self._server_variables(keys) | dict(settings.env),
            handler=manifest.handler,
            task_methods={task.name: task.method or task.name for task in tasks},
            secrets=_own_secret(settings, keys)
            | {name: self._secrets(source) for name, source in settings.secrets.items()},
            weights=outfit.weights,
            layers=tuple(outfit.package / one for one in manifest.layers),
            load_timeout_seconds=settings.load_timeout_seconds,
            cancel_grace_seconds=settings.cancel_grace_seconds,
            memory_bytes_max=settings.memory_bytes_max,
            memory_growth_bytes_max=settings.memory_growth_bytes_max,
            device=settings.device,
            program=_program(manifest, outfit.image),
            remains=self._remains(version),
        )

    def _server_variables(self, keys: KeyPair) -> dict[str, str]:
        """With the secret key, what makes `boto3.client("s3")` inside an unmodified handler reach this server."""
        region = self._keyring.credentials.region
        return {
            "AWS_ENDPOINT_URL": self._server_url(),
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
        }


def _program(manifest: Manifest, image: ContainerImage | None) -> Program | None:
    """Its own server, where it has one. A container has no network unless the package says so."""
    if manifest.layout != "http":
        return None
    said = manifest.http
    network = said.network or ("own" if image is not None else None)
    return Program(manifest.command, network, said.port, said.concurrency, image)


def _own_secret(settings: VersionSettings, keys: KeyPair) -> dict[str, str]:
    """The secret of the worker's own key, unless its deployment names another key: halves of two sign nothing."""
    given = settings.env.keys() | settings.secrets.keys()
    return {} if "AWS_ACCESS_KEY_ID" in given else {"AWS_SECRET_ACCESS_KEY": keys.secret_access_key}
