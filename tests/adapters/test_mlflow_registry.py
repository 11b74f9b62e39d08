"""The registry: contract tests over the fake, a real SQLite store and a real MLflow server, then what only MLflow can do wrong."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlprod.adapters.memory import MemoryRegistry
from jupyter_mlprod.adapters.mlflow_registry import MlflowRegistry, away, differences
from jupyter_mlprod.core.bundle import MLFLOW_WRITES
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Registry

# MLflow's SQL stores keep their connection pools for as long as the process lives, so the interpreter closes them (Python 3.13 says so).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
MLMODEL = "flavors:\n  python_function:\n    loader_module: x\nmodel_uuid: '00'\n"
STARTUP_S = 90
CHILD = """
import json, os, socket, sys
from pathlib import Path

def no_network(*_arguments):
    raise AssertionError("the network was touched")

socket.socket.connect = no_network
socket.getaddrinfo = no_network
before = dict(os.environ)
from jupyter_mlprod.adapters.mlflow_registry import MlflowRegistry
import mlflow.telemetry
print("ready", flush=True)
sys.stdin.readline()
version = MlflowRegistry(sys.argv[1]).register("digits", Path(sys.argv[2]), sys.argv[3])
alike = {key: value for key, value in os.environ.items() if not key.startswith("_")} == before
print(json.dumps({"version": version, "environment": alike, "telemetry": mlflow.telemetry.get_telemetry_client() is not None}))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MlflowRegistry:
    """One SQLite store for the module, in a folder whose name needs quoting in a URI; a test takes a name of its own."""
    return MlflowRegistry(f"sqlite:///{tmp_path_factory.mktemp('odd name #1')}/.mlprod/mlflow.db")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server, with its own store and served artifacts."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    options = (
        f"--host 127.0.0.1 --port {port} --workers 1 --backend-store-uri sqlite:///{folder}/server.db --artifacts-destination {folder}/kept"
    )
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "mlflow", "server", *options.split()]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"{address}/health", process, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTUP_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the MLflow server did not start:\n{log.read_text()}")


@pytest.fixture(params=["memory", "sqlite", "server"])
def registry(request: pytest.FixtureRequest) -> Registry:
    if request.param == "memory":
        return MemoryRegistry()
    if request.param == "sqlite":
        found: MlflowRegistry = request.getfixturevalue("store")
        return found
    return MlflowRegistry(request.getfixturevalue("server"))


NUMBERS = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"digits.v{next(NUMBERS)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hand-made bundle that is an MLflow model too."""
    folder = tmp_path / "bundle"
    for path, data in {
        "MLmodel": MLMODEL.encode(),
        "model.onnx": bytes(range(256)) * 40,
        "code/preprocess.py": b"def prepare(x):\n    return x\n",
        "attached/origin.json": b'{"actor": "ann@lab"}',
        "empty": b"",
        "golden/with space.npz": b"odd",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def refused(error: pytest.ExceptionInfo[MlprodError]) -> Code:
    return error.value.code


def stored_folder(registry: MlflowRegistry, name: str, version: int) -> Path:
    """Where a version's files lie in the SQLite store."""
    location = registry._client.get_model_version_download_uri(name, str(version))
    return Path(urllib.request.url2pathname(urllib.parse.urlsplit(location).path))


def test_registering_gives_a_version_that_knows_its_digest_and_holds_the_same_bytes(
    registry: Registry, name: str, folder: Path, tmp_path: Path
) -> None:
    version = registry.register(name, folder, DIGEST)
    assert version == 1
    assert registry.digest_of(name, version) == DIGEST
    fetched = registry.fetch(name, version, tmp_path / "fetched")
    assert fetched.is_relative_to(tmp_path / "fetched")
    assert differences(folder, fetched, attached=True) == []


def test_versions_fetched_into_the_same_folder_do_not_mix(registry: Registry, name: str, folder: Path, tmp_path: Path) -> None:
    registry.register(name, folder, DIGEST)
    (folder / "code" / "preprocess.py").unlink()
    registry.register(name, folder, OTHER)
    fetched = [registry.fetch(name, version, tmp_path / "fetched") for version in (1, 2, 2)]
    assert len(set(fetched)) == 3
    assert [differences(folder, kept, attached=True) for kept in fetched] == [["code/preprocess.py was added"], [], []]


def test_registering_the_same_bundle_twice_gives_the_same_version(registry: Registry, name: str, folder: Path) -> None:
    assert registry.register(name, folder, DIGEST) == registry.register(name, folder, DIGEST) == 1


def test_another_digest_is_another_version(registry: Registry, name: str, folder: Path) -> None:
    assert [registry.register(name, folder, digest) for digest in (DIGEST, OTHER, DIGEST)] == [1, 2, 1]
    assert [registry.digest_of(name, version) for version in (1, 2)] == [DIGEST, OTHER]


def test_the_same_bundle_packaged_by_somebody_else_is_the_same_version(registry: Registry, name: str, folder: Path) -> None:
    registry.register(name, folder, DIGEST)
    (folder / "attached" / "origin.json").write_text('{"actor": "bob@lab"}')
    assert registry.register(name, folder, DIGEST) == 1


def test_other_bytes_under_a_registered_digest_are_refused(registry: Registry, name: str, folder: Path) -> None:
    registry.register(name, folder, DIGEST)
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(MlprodError, match="other bytes") as error:
        registry.register(name, folder, DIGEST)
    assert refused(error) is Code.REGISTRY


def test_a_file_name_that_mlflow_cannot_carry_is_named_and_makes_no_version(store: MlflowRegistry, name: str, folder: Path) -> None:
    (folder / "golden" / "a#1.npz").write_bytes(b"odd")
    with pytest.raises(MlprodError, match=r"golden/a#1\.npz") as error:
        store.register(name, folder, DIGEST)
    assert refused(error) is Code.REGISTRY
    assert "\n" not in error.value.message
    assert store.alias(name, "champion") is None


def test_an_alias_stands_where_it_was_set_last(registry: Registry, name: str, folder: Path) -> None:
    versions = [registry.register(name, folder, digest) for digest in (DIGEST, OTHER)]
    for version in (*versions, versions[0]):
        registry.set_alias(name, "champion", version)
        assert registry.alias(name, "champion") == version


def test_an_alias_or_a_model_that_is_not_there_is_none(registry: Registry, name: str, folder: Path) -> None:
    assert registry.alias(name, "champion") is None
    registry.register(name, folder, DIGEST)
    assert registry.alias(name, "champion") is None


def test_a_version_that_is_not_there_is_an_unknown_subject(registry: Registry, name: str, folder: Path, tmp_path: Path) -> None:
    for _ in ("no such model", "no such version"):
        with pytest.raises(MlprodError) as error:
            registry.digest_of(name, 2)
        assert refused(error) is Code.UNKNOWN_SUBJECT
        with pytest.raises(MlprodError) as error:
            registry.set_alias(name, "champion", 2)
        assert refused(error) is Code.UNKNOWN_SUBJECT
        with pytest.raises(MlprodError) as error:
            registry.fetch(name, 2, tmp_path / "fetched")
        assert refused(error) is Code.UNKNOWN_SUBJECT
        registry.register(name, folder, DIGEST)


def test_asking_makes_no_database(tmp_path: Path) -> None:
    registry = MlflowRegistry(f"sqlite:///{tmp_path}/.mlprod/mlflow.db")
    assert registry.alias("digits", "champion") is None
    with pytest.raises(MlprodError) as error:
        registry.digest_of("digits", 1)
    assert refused(error) is Code.UNKNOWN_SUBJECT
    assert list(tmp_path.iterdir()) == []


def test_artifacts_lie_beside_the_database(store: MlflowRegistry, name: str, folder: Path) -> None:
    version = store.register(name, folder, DIGEST)
    assert store.database is not None
    assert stored_folder(store, name, version).is_relative_to(store.database.parent / "mlartifacts")


@pytest.mark.parametrize("change", ["other bytes", "missing", "added"])
def test_an_artifact_that_changed_after_the_upload_is_found_when_it_is_registered_again(
    store: MlflowRegistry, name: str, folder: Path, change: str
) -> None:
    stored = stored_folder(store, name, store.register(name, folder, DIGEST))
    if change == "other bytes":
        (stored / "model.onnx").write_bytes(b"other")
    elif change == "missing":
        (stored / "model.onnx").unlink()
    else:
        (stored / "code" / "more.py").touch()
    with pytest.raises(MlprodError, match=change.split()[0]) as error:
        store.register(name, folder, DIGEST)
    assert refused(error) is Code.REGISTRY
    assert store.tracking_uri in error.value.hint


def test_an_upload_that_stores_other_bytes_makes_no_version(
    store: MlflowRegistry, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(model_id: str, local_dir: str, _path: str | None = None) -> None:
        log_artifacts(model_id, local_dir)
        for stored in stored_weights(store, model_id):
            stored.write_bytes(stored.read_bytes()[:-1])

    log_artifacts = store._client.log_model_artifacts
    monkeypatch.setattr(store._client, "log_model_artifacts", lossy)
    with pytest.raises(MlprodError, match=r"model\.onnx has other bytes"):
        store.register(name, folder, DIGEST)
    monkeypatch.undo()
    with pytest.raises(MlprodError) as error:
        store.digest_of(name, 1)
    assert refused(error) is Code.UNKNOWN_SUBJECT
    assert store.register(name, folder, DIGEST) == 1


def stored_weights(store: MlflowRegistry, model_id: str) -> list[Path]:
    assert store.database is not None
    return list((store.database.parent / "mlartifacts").glob(f"**/{model_id}/**/model.onnx"))


def test_the_file_that_mlflow_adds_on_loading_is_no_difference(store: MlflowRegistry, name: str, folder: Path) -> None:
    stored = stored_folder(store, name, store.register(name, folder, DIGEST))
    (stored / MLFLOW_WRITES).write_text("model_name: digits\n")
    assert store.register(name, folder, DIGEST) == 1


def test_a_version_of_another_tool_has_no_digest(store: MlflowRegistry, name: str, folder: Path) -> None:
    store.register(name, folder, DIGEST)
    store._client.create_model_version(name, folder.as_uri())
    with pytest.raises(MlprodError, match="not registered by mlprod") as error:
        store.digest_of(name, 2)
    assert refused(error) is Code.UNKNOWN_SUBJECT


def test_a_version_that_is_not_ready_is_not_reused(store: MlflowRegistry, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.register(name, folder, DIGEST)
    search = store._client.search_model_versions

    def pending(query: str) -> object:
        found = search(query)
        for version in found:
            version._status = "PENDING_REGISTRATION" if int(version.version) == 1 else version.status
        return found

    monkeypatch.setattr(store._client, "search_model_versions", pending)
    assert store.register(name, folder, DIGEST) == 2


def test_a_user_who_tracks_elsewhere_is_not_disturbed(store: MlflowRegistry, name: str, folder: Path, tmp_path: Path) -> None:
    import mlflow  # at the top it would come before the adapter, which imports it with telemetry off

    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    before = dict(os.environ)
    mlflow.set_tracking_uri(elsewhere)
    try:
        assert store.register(name, folder, DIGEST) == 1
        store.set_alias(name, "champion", 1)
        assert store.fetch(name, 1, tmp_path / "fetched").is_dir()
        assert mlflow.get_tracking_uri() == elsewhere
        assert not (tmp_path / "elsewhere.db").exists()
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # how MLflow forgets one
    assert dict(os.environ) == before


def test_two_first_registrations_at_the_same_time_are_silent_offline_and_agree(folder: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/.mlprod/mlflow.db"
    # MLflow stays off the network by itself when it finds that it is tested; here it must because we say so.
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "MLFLOW_", "_")) and key not in ("CI", "GITHUB_ACTIONS")
    }
    command = [sys.executable, "-c", CHILD, uri, str(folder), DIGEST]
    children = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    printed = [child.communicate(timeout=120) for child in children]
    assert [errors for _, errors in printed] == ["", ""]
    assert [json.loads(line) for line, _ in printed] == [{"version": 1, "environment": True, "telemetry": False}] * 2
    assert not (tmp_path / "mlruns").exists()


def test_a_database_that_a_killed_process_left_half_made_is_made_anew(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db.new").write_bytes(b"half a database")
    (tmp_path / "mlflow.db.new-journal").write_bytes(b"half a journal")
    assert MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db").register("digits", folder, DIGEST) == 1
    assert not list(tmp_path.glob("mlflow.db.new*"))


def test_a_store_that_cannot_be_used_is_said_at_once_with_the_address_and_doctor(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"not a database" * 100)
    for path in (tmp_path / "file", tmp_path / "file" / "mlflow.db"):
        registry = MlflowRegistry(f"sqlite:///{path}")
        with pytest.raises(MlprodError) as error:
            registry.register("digits", folder, DIGEST)
        assert refused(error) is Code.REGISTRY
        assert "mlprod doctor" in error.value.hint
        assert str(path) in error.value.hint


def test_a_server_that_is_down_is_said_in_seconds_without_its_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"ann:pa55w0rd@127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MlprodError, match="Max retries") as error:
        MlflowRegistry(f"http://{address}").alias("digits", "champion")
    assert refused(error) is Code.REGISTRY
    assert address.split("@")[1] in error.value.hint
    assert "pa55w0rd" not in str(error.value)


@pytest.mark.parametrize(
    "uri", ["postgresql://ann:pa55@db/m", "http://ann:pa55@host:5000/x?token=pa55", "https://ann:pa%35%35@host", "x://:pa55@h"]
)
def test_no_password_of_any_uri_is_printed(uri: str) -> None:
    error = away(uri, ValueError(f"cannot connect to {uri} as ann with 'pa55'\nsecond line"))
    assert "pa55" not in str(error)
    assert "pa%35%35" not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("path", ["a%20b/mlflow.db", "a?b/mlflow.db", ""])
def test_a_path_that_sqlalchemy_reads_as_another_is_a_bad_setting(tmp_path: Path, path: str) -> None:
    with pytest.raises(MlprodError) as error:
        MlflowRegistry(f"sqlite:///{tmp_path / path if path else ''}")
    assert refused(error) is Code.BAD_SETTINGS


def test_mlflow_loads_a_registered_version(store: MlflowRegistry, name: str, folder: Path, tmp_path: Path) -> None:
    """What other tools see: the plain ``models:/NAME@ALIAS`` address."""
    loader = tmp_path / "loaders" / "mlprod_test_loader.py"
    loader.parent.mkdir()
    loader.write_text(
        "def _load_pyfunc(path):\n    class Model:\n        def predict(self, x):\n            return x\n    return Model()\n"
    )
    (folder / "MLmodel").write_text(MLMODEL.replace("loader_module: x", "loader_module: mlprod_test_loader"))
    store.set_alias(name, "champion", store.register(name, folder, DIGEST))
    script = f"mlflow.set_tracking_uri({store.tracking_uri!r}); print(mlflow.pyfunc.load_model('models:/{name}@champion').predict([3]))"
    environment = {**os.environ, "PYTHONPATH": str(loader.parent), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", f"import mlflow; {script}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "[3]", done.stderr
    shutil.rmtree(tmp_path / "loaders")
    assert store.register(name, folder, DIGEST) == 1
