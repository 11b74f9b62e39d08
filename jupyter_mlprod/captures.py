"""The part of the composition root that chooses who captures a model, by what the model is.

Models that another tool logged to MLflow are fetched and captured as the file they hold; several models are captured one by one and joined.
An adapter is imported when a model is its kind, so that an .onnx file is packaged without torch. Only a module that lives in this process
is told to come from what this process has done: of a file nobody here saw the training, and of a logged model the tracking store did.
"""

import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import Training
from jupyter_mlprod.core.capture import add_training, read_capture
from jupyter_mlprod.core.combine import Combine, demand_single, shares
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.extras import naming_the_extra
from jupyter_mlprod.core.mlmodel import MLMODEL
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.private import private_files, private_folder
from jupyter_mlprod.core.raw import Raw
from jupyter_mlprod.core.subject import MODEL_URI, names_file, parse_model_uri
from jupyter_mlprod.core.trial import Shapes

Kind = Literal["registered", "logged", "onnx", "pt2", "module"]


class Captures:
    """Port `Models`.

    Parameters
    ----------
    folder : where captures are written, a folder of the scratch folder
    ports : the registry that models are fetched from, the runs that logged them, and who writes modules down
    training : what this process knows of the training of modules that live in it
    """

    def __init__(self, folder: Path, ports: Ports, training: Callable[[], Training]) -> None:
        self.folder = folder
        self.ports = ports
        self.training = training

    def capture(self, source: Any, example: Raw, ends: Ends, *, shapes: Shapes, combine: Combine | None = None) -> Path:
        members = members_of(source)
        private_folder(self.folder.parent)
        with naming_the_extra("packaging a model"):
            if len(members) == 1:
                demand_single(combine)
                folder = self._single(members[0], example, ends, shapes)
            else:
                combine = combine or Combine()
                shares(combine, len(members))
                folder = self._joined(members, example, ends, shapes, combine)
        if all(kind_of(member) == "module" for member in members):
            add_training(folder, self.training())
        return private_files(folder)

    def _single(self, source: Any, example: Raw, ends: Ends, shapes: Shapes) -> Path:
        match kind_of(source):
            case "registered":
                return self._registered(source, example, ends, shapes)
            case "logged":
                return self._logged(Path(source), source, example, ends, shapes)
            case "onnx":
                from jupyter_mlprod.adapters.onnx_capture import OnnxCapture

                made = OnnxCapture(self.folder).capture(source, example, ends, shapes=shapes)
                return add_training(made, Training(untrainable="an .onnx file holds a graph, and no module"))
            case "pt2":
                from jupyter_mlprod.adapters.pt2_capture import Pt2Capture

                made = Pt2Capture(self.folder).capture(source, example, ends, shapes=shapes)
                return add_training(made, Training(untrainable="a .pt2 file holds a program, and no module"))
            case "module":
                return self._module(source, example, ends, shapes)

    def _module(self, source: Any, example: Raw, ends: Ends, shapes: Shapes) -> Path:
        """A module that lives in this process, or one that it imports."""
        from jupyter_mlprod.adapters.torch_capture import TorchCapture, imported, inner_of

        live = inner_of(imported(source) if isinstance(source, str) else source)
        made = TorchCapture(self.folder).capture(live, example, ends, shapes=shapes)
        return add_training(made, Training(untrainable=self.ports.modules.describe(live, made)))

    def _registered(self, uri: str, example: Raw, ends: Ends, shapes: Shapes) -> Path:
        """A version of the registry, brought here for as long as its capture takes."""
        subject = parse_model_uri(uri)
        registry = self.ports.registry
        version = registry.alias(subject.name, subject.rest) if subject.kind == "alias" else int(subject.rest)
        if version is None:
            raise MlprodError(Code.UNKNOWN_SUBJECT, f"the registry's {subject.name} has no alias {subject.rest!r}", hint="mlprod list")
        into = self.folder / f"fetched-{uuid.uuid4().hex[:12]}"
        try:
            folder = registry.fetch(subject.name, version, into)
            return self._logged(folder, f"{MODEL_URI}{subject.name}/{version}", example, ends, shapes)
        finally:
            shutil.rmtree(into, ignore_errors=True)

    def _logged(self, folder: Path, name: str, example: Raw, ends: Ends, shapes: Shapes) -> Path:
        """A model that another tool logged to MLflow, and what the tracking store knows of the run that did."""
        from jupyter_mlprod.adapters.mlflow_model import read_logged

        logged = read_logged(folder, name)
        made = self._single(str(logged.file), example, ends, shapes)
        return add_training(made, msgspec.structs.replace(self._run_of(logged.run), adopted=name))

    def _run_of(self, run: str) -> Training:
        """What the tracking store tells of a run; its id alone when it does not, which is told."""
        if not run:
            return Training()
        try:
            found = self.ports.runs.training(run)
        except MlprodError as error:
            if error.code is not Code.MISSING_EXTRA:
                raise
            found = None
        if found is None:
            self.ports.tell(f"the tracking store tells nothing of the run {run}, so its parameters and metrics are not noted")
        return found or Training(mlflow_run=run)

    def _joined(self, members: Sequence[Any], example: Raw, ends: Ends, shapes: Shapes, combine: Combine) -> Path:
        """The members' own captures are not kept; what stands behind the model gets what they answer together."""
        from jupyter_mlprod.adapters.ensemble_capture import EnsembleCapture

        before = msgspec.structs.replace(ends, postprocess=None)
        made: list[tuple[str, Path]] = []
        try:
            for number, member in enumerate(members, start=1):
                name = f"member {number} ({member if isinstance(member, str) else type(member).__name__})"
                try:
                    made.append((name, self._single(member, example, before, shapes)))
                except MlprodError as error:
                    raise MlprodError(error.code, f"{name}: {error.message}", hint=error.hint) from error
            whole = EnsembleCapture(self.folder).join(made, ends, combine=combine)
            adopted = ", ".join(filter(None, (read_capture(folder).training.adopted for _, folder in made)))
            return add_training(whole, Training(untrainable="an ensemble holds its members' graphs, and no module", adopted=adopted))
        finally:
            for _, folder in made:
                shutil.rmtree(folder, ignore_errors=True)


def kind_of(source: Any) -> Kind:
    """What a model is, by the form of its name; all but a module comes from a process that is not this one."""
    if not isinstance(source, str):
        return "module"
    if source.startswith(MODEL_URI):
        return "registered"
    if names_file(f"{source}/{MLMODEL}"):
        return "logged"
    return "onnx" if source.endswith(".onnx") else "pt2" if source.endswith(".pt2") else "module"


def members_of(source: Any) -> tuple[Any, ...]:
    """The models of a list, or of words with commas between them; one model is its own only member."""
    if isinstance(source, str) and "," in source and not names_file(source):
        source = [word.strip() for word in source.split(",")]
    members = tuple(source) if isinstance(source, list | tuple) else (source,)
    if not members or any(isinstance(member, str) and not member for member in members):
        raise MlprodError(Code.BAD_MODEL, "there is no model, or an empty name among several")
    return members
