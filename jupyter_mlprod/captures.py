"""The part of the composition root that chooses who captures a model, by what the model is.

Models that another tool logged to MLflow are fetched and captured as the file they hold; several models are captured one by one and joined.
An adapter is imported when a model is its kind, so that an .onnx file is packaged without torch.
"""

import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import Training
from jupyter_mlprod.core.capture import add_training
from jupyter_mlprod.core.combine import Combine, demand_single, shares
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.extras import naming_the_extra
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Raw
from jupyter_mlprod.core.subject import MODEL_URI, names_file, parse_model_uri
from jupyter_mlprod.core.trial import Shapes

ADOPTED = "adopted"
"""The parameter of the training under which a model of another tool is named."""


class Captures:
    """Port `Models`.

    Parameters
    ----------
    folder : where captures are written
    ports : the registry that models are fetched from, and who writes modules down
    training : what this process knows of the training, added to every capture
    """

    def __init__(self, folder: Path, ports: Ports, training: Callable[[], Training]) -> None:
        self.folder = folder
        self.ports = ports
        self.training = training

    def capture(self, source: Any, example: Raw, ends: Ends, *, shapes: Shapes, combine: Combine | None = None) -> Path:
        members = members_of(source)
        with naming_the_extra("packaging a model"):
            if len(members) == 1:
                demand_single(combine)
                folder = self._single(members[0], example, ends, shapes)
            else:
                combine = combine or Combine()
                shares(combine, len(members))
                folder = self._joined(members, example, ends, shapes, combine)
        return add_training(folder, self.training())

    def _single(self, source: Any, example: Raw, ends: Ends, shapes: Shapes) -> Path:
        if isinstance(source, str) and source.startswith(MODEL_URI):
            return self._registered(source, example, ends, shapes)
        if isinstance(source, str) and names_file(f"{source}/MLmodel"):
            return self._logged(Path(source), source, example, ends, shapes)
        if isinstance(source, str) and source.endswith(".onnx"):
            from jupyter_mlprod.adapters.onnx_capture import OnnxCapture

            made = OnnxCapture(self.folder).capture(source, example, ends, shapes=shapes)
            return add_training(made, Training(untrainable="an .onnx file holds a graph, and no module"))
        if isinstance(source, str) and source.endswith(".pt2"):
            from jupyter_mlprod.adapters.pt2_capture import Pt2Capture

            made = Pt2Capture(self.folder).capture(source, example, ends, shapes=shapes)
            return add_training(made, Training(untrainable="a .pt2 file holds a program, and no module"))
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
        """A model that another tool logged to MLflow; what is known of where it comes from is noted."""
        from jupyter_mlprod.adapters.mlflow_model import read_logged

        logged = read_logged(folder, name)
        made = self._single(str(logged.file), example, ends, shapes)
        return add_training(made, Training(mlflow_run=logged.run, parameters={ADOPTED: name}))

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
            return add_training(whole, Training(untrainable="an ensemble holds its members' graphs, and no module"))
        finally:
            for _, folder in made:
                shutil.rmtree(folder, ignore_errors=True)


def members_of(source: Any) -> tuple[Any, ...]:
    """The models of a list, or of words with commas between them; one model is its own only member."""
    if isinstance(source, str) and "," in source and not names_file(source):
        source = [word.strip() for word in source.split(",")]
    members = tuple(source) if isinstance(source, list | tuple) else (source,)
    if not members or any(isinstance(member, str) and not member for member in members):
        raise MlprodError(Code.BAD_MODEL, "there is no model, or an empty name among several")
    return members
