"""The MLflow registry, with its stored bytes read back before a version exists.

A version's source is ``models:/m-…`` only on a server. On a database URI it is the artifact location itself: the SQL store of MLflow 3.17
resolves ``models:/m-…`` through the process-wide tracking URI (``SqlAlchemyStore.create_model_version``), and in a notebook that URI
belongs to the user's own training runs. For the same reason downloads go to the stored location, never through ``models:/NAME/VERSION``.
"""

import contextlib
import hashlib
import logging
import os
import re
import sqlite3
import tempfile
import urllib.parse
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from jupyter_mlprod.core.bundle import ATTACHED, MLFLOW_WRITES, Training
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.tracking import told_of

EXPERIMENT = "mlprod"
DIGEST_TAG = "mlprod.digest"
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""MLflow reads these at each use and offers no other switch; they hold while it is imported or asked, and no longer."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Unless the user chose otherwise: MLflow's own 7 retries keep a person waiting four minutes for a server that is down."""
LOGGERS = ("mlflow", "alembic")
ABSENT = "RESOURCE_DOES_NOT_EXIST"
TAKEN = "RESOURCE_ALREADY_EXISTS"
CREATION_WAIT_S = 120.0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """MLflow without telemetry, bars and long retries; the environment is as before afterwards."""
    wanted = {**ENVIRONMENT, **{key: os.environ.get(key, value) for key, value in PATIENCE.items()}}
    before = {key: os.environ.get(key) for key in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """MLflow without its log, which repeats with a trace what is raised, and without warnings of how it uses SQLAlchemy."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


try:
    with quiet():
        import mlflow.artifacts
        from mlflow import MlflowClient
        from mlflow.entities.model_registry import ModelVersion
        from mlflow.exceptions import MlflowException
    import sqlalchemy
except ImportError:
    raise MlprodError(Code.MISSING_EXTRA, "the registry needs mlflow", hint="pip install 'jupyter-mlprod[cpu]'") from None


class MlflowRegistry:
    """Ports `Registry` and `Runs`: one MLflow holds both.

    Parameters
    ----------
    tracking_uri : an MLflow server, or ``sqlite:///…``; the SQLite file is made by the first registration, with its artifacts in
        ``mlartifacts`` beside it
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        self.database = sqlite_file(tracking_uri)

    def register(self, name: str, folder: Path, digest: str) -> int:
        """The version that holds this bundle, made when there is none.

        Raises
        ------
        MlprodError : ``registry-away`` when MLflow refuses, or when what it stored differs from ``folder``.
        """
        with self._asking():
            version = self._version_of(name, digest)
            if version is not None:
                # Whoever packaged it first, and when, lies in attached/ and may differ; what the digest covers may not.
                self._compare(folder, self._client.get_model_version_download_uri(name, str(version)), attached=False)
                return version
            model_id, location = self._upload(name, folder, digest)
            self._compare(folder, location, attached=True)
            self._client.finalize_logged_model(model_id, "READY")
            self._make_model(name)
            source, model = (f"models:/{model_id}", model_id) if self._is_server else (location, None)
            made = self._client.create_model_version(name, source, tags={DIGEST_TAG: digest}, model_id=model)
            # Two registrations at the same time both make a version; both then answer with the first.
            return self._version_of(name, digest) or int(made.version)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        with self._asking():
            self._client.set_registered_model_alias(name, alias, str(self._stored(name, version).version))

    def alias(self, name: str, alias: str) -> int | None:
        """The version an alias stands on; None when there is no such alias or model, and asking creates no database."""
        if self._is_unborn:
            return None
        with self._asking():
            try:
                version = self._client.get_registered_model(name).aliases.get(alias)
            except MlflowException as error:
                if error.error_code != ABSENT:
                    raise
                return None
        return None if version is None else int(version)

    def digest_of(self, name: str, version: int) -> str:
        """The digest under which a version was registered.

        Raises
        ------
        MlprodError : ``unknown-subject`` when there is no such version, or when it was not registered by mlprod.
        """
        with self._asking():
            found = self._stored(name, version).tags.get(DIGEST_TAG, "")
        if not found:
            raise _unknown(f"version {version} of {name} was not registered by mlprod: it has no tag {DIGEST_TAG}")
        return str(found)

    def fetch(self, name: str, version: int, into: Path) -> Path:
        """Download a version's files to a new folder under ``into``, which is made when it is not there, and return that folder."""
        with self._asking():
            self._stored(name, version)
            into.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=f"{name}-{version}-", dir=into))
            return self._download(self._client.get_model_version_download_uri(name, str(version)), fresh)

    def training(self, run: str) -> Training | None:
        """What is stored of a run; None when there is no such run or no answer in time, and asking creates no database."""
        if self._is_unborn:
            return None
        with quiet(), hushed():
            return told_of(run, lambda: self._client.get_run(run).data)

    @property
    def _is_server(self) -> bool:
        return self.tracking_uri.startswith(("http://", "https://"))

    @property
    def _is_unborn(self) -> bool:
        return self.database is not None and not self.database.exists()

    @cached_property
    def _client(self) -> MlflowClient:
        if self.database is not None and self._is_unborn:
            create_database(self.database)
        if not self._is_server:
            self._knock()
        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def _knock(self) -> None:
        """Fail at once on a database that cannot be read; MLflow itself would try ten times, for 101 seconds."""
        try:
            engine = sqlalchemy.create_engine(self.tracking_uri, poolclass=sqlalchemy.NullPool)
        except ModuleNotFoundError as error:
            message = f"a registry at {shown(self.tracking_uri)} needs the database driver {error.name}"
            raise MlprodError(Code.MISSING_EXTRA, message, hint=f"pip install {error.name}") from None
        sqlalchemy.inspect(engine).has_table("experiments")

    def _version_of(self, name: str, digest: str) -> int | None:
        """The first usable version that carries this digest."""
        found = self._client.search_model_versions(f"name = '{name}' and tags.`{DIGEST_TAG}` = '{digest}'")
        return min((int(version.version) for version in found if version.status == "READY"), default=None)

    def _stored(self, name: str, version: int) -> ModelVersion:
        try:
            if not self._is_unborn:
                return self._client.get_model_version(name, str(version))
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
        raise _unknown(f"{name} has no version {version} in the registry")

    def _make_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise

    def _upload(self, name: str, folder: Path, digest: str) -> tuple[str, str]:
        """A logged model with the folder's files: its id and where they lie."""
        # A logged model's name is for display and may hold no dot, which a bundle's may.
        model = self._client.create_logged_model(self._experiment(), name=name.replace(".", "-"), tags={DIGEST_TAG: digest})
        self._client.log_model_artifacts(model.model_id, str(folder))
        return model.model_id, model.artifact_location

    def _experiment(self) -> str:
        location = artifacts_uri(self.database) if self.database is not None else None
        try:
            return str(self._client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException as error:
            found = self._client.get_experiment_by_name(EXPERIMENT) if error.error_code == TAKEN else None
            if found is None:
                raise
            return str(found.experiment_id)

    def _download(self, location: str, into: Path) -> Path:
        found = mlflow.artifacts.download_artifacts(
            artifact_uri=location, dst_path=str(into), tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri
        )
        return Path(found)

    def _compare(self, folder: Path, location: str, *, attached: bool) -> None:
        """Refuse when the stored files differ from the folder's; without ``attached`` that folder of both is left out."""
        with tempfile.TemporaryDirectory() as scratch:
            faults = differences(folder, self._download(location, Path(scratch)), attached=attached)
        if faults:
            message = f"the registry holds other bytes than {folder}: {'; '.join(faults[:3])}; {len(faults)} differences in {location}"
            raise MlprodError(Code.REGISTRY, message, hint=f"run `mlprod doctor`; the registry is {shown(self.tracking_uri)}")

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with quiet(), hushed():
                yield
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise away(self.tracking_uri, error) from error


def sqlite_file(uri: str) -> Path | None:
    """The file behind a ``sqlite:///`` URI; None for any other.

    Raises
    ------
    MlprodError : ``bad-settings`` when SQLAlchemy would open another file than the one that is written there.
    """
    if not uri.startswith("sqlite:"):
        return None
    written = uri.partition(":///")[2]
    if not written or sqlalchemy.make_url(uri).database != written:
        message = f"tracking_uri {uri} names no file that SQLAlchemy would open: '?' and '%' with two digits mean something else in it"
        raise MlprodError(Code.BAD_SETTINGS, message, hint="move the workspace, or set tracking_uri in mlprod.toml to another file")
    return Path(written).absolute()


def artifacts_uri(database: Path) -> str:
    return (database.parent / "mlartifacts").as_uri()


def create_database(database: Path) -> None:
    """Make MLflow's tables in a new SQLite file.

    MLflow's own 60-odd migrations are neither atomic nor locked: they run on another name, which is taken on when they are through, so that
    a killed process leaves nothing half-made; and only one process runs them. The lock is SQLite's own and ends with its process.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # 0.8 s, which users of a server are spared

    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_name(f"{database.name}.new")
    lock = sqlite3.connect(database.with_name(f"{database.name}.lock"), timeout=CREATION_WAIT_S, isolation_level=None)
    with contextlib.closing(lock):
        lock.execute("BEGIN EXCLUSIVE")
        if database.exists():
            return
        for leftover in database.parent.glob(f"{unfinished.name}*"):
            leftover.unlink()
        store = SqlAlchemyStore(f"sqlite:///{unfinished}", artifacts_uri(database))  # type: ignore[no-untyped-call]
        store.engine.dispose()
        unfinished.replace(database)


def differences(folder: Path, stored: Path, *, attached: bool) -> list[str]:
    """How the stored files differ from the folder's, by path; the file that MLflow adds on loading does not count."""
    wanted, found = _files(folder, attached=attached), _files(stored, attached=attached)
    faults = [f"{path} is missing" for path in sorted(wanted - found)]
    faults += [f"{path} was added" for path in sorted(found - wanted)]
    return faults + [f"{path} has other bytes" for path in sorted(wanted & found) if _sha256(folder / path) != _sha256(stored / path)]


def _files(folder: Path, *, attached: bool) -> set[str]:
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MLFLOW_WRITES}
    return {path for path in paths if attached or path.split("/")[0] != ATTACHED}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def shown(uri: str) -> str:
    """A URI that may be printed: without user, password and query."""
    return uri if uri.startswith("sqlite:") else re.sub(r"//.*@", "//", uri).partition("?")[0]


def away(uri: str, error: Exception) -> MlprodError:
    """What MLflow said, in one line and without the password of the URI."""
    said = str(error).replace(uri, shown(uri))
    secret = re.match(r"[^/]*//[^:@]*:(.+)@", uri)
    for form in {secret[1], urllib.parse.unquote(secret[1])} if secret else ():
        said = said.replace(form, "***")
    line = " ".join(said.split())[:500] or type(error).__name__
    return MlprodError(Code.REGISTRY, f"MLflow: {line}", hint=f"run `mlprod doctor`; the registry is {shown(uri)}")


def _unknown(message: str) -> MlprodError:
    return MlprodError(Code.UNKNOWN_SUBJECT, message, hint="mlprod list")
