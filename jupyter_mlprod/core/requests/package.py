"""Request of ``package``."""

from typing import Annotated, Literal

from jupyter_mlprod.core.requests.base import CardWords, Request, option


class Package(Request, frozen=True, kw_only=True, tag="package"):
    """Package a model with its preprocessing, labels and contract into a content-addressed bundle.

    The bundle is kept only when it answers like the original: raw input to answer, at batch 1, 3 and all example rows.
    """

    model: Annotated[
        str,
        option(
            "a torch module of the notebook, an .onnx or .pt2 file, module:object, or models:/NAME/VERSION of the registry; "
            "several with commas, or a list, become one",
            positional=True,
            live="model",
            metavar="MODEL",
        ),
    ]
    name: Annotated[str, option("name of the bundle, also its name in the registry", metavar="NAME")]
    example: Annotated[
        str,
        option(
            "raw rows as they will be requested, two or more; they become the golden samples", live="array", names="file", metavar="ROWS"
        ),
    ]
    preprocess: Annotated[
        str, option("function from the raw batch to what the model takes, or FILE.py:FUNCTION", live="code", metavar="FUNCTION")
    ] = ""
    postprocess: Annotated[
        str,
        option(
            "function from the model's outputs, by name, to the outputs that are answered, or FILE.py:FUNCTION",
            live="code",
            metavar="FUNCTION",
        ),
    ] = ""
    assets: Annotated[
        tuple[str, ...],
        option("files that the functions read; they lie beside the code, found by Path(__file__).with_name(…)", metavar="FILES"),
    ] = ()
    labels: Annotated[
        str, option("class names in the order of the scores: comma-separated, or a list of the notebook", live="labels", metavar="LABELS")
    ] = ""
    data: Annotated[
        str,
        option(
            "training data: a frame, an array, a .parquet, .csv, .npy or .npz file, a folder of images; described in snapshot.json",
            live="snapshot",
            names="file",
            metavar="DATA",
        ),
    ] = ""
    contract: Annotated[
        str,
        option(
            "contract.toml, TOML or a dict: [inputs.NAME], [outputs.NAME], [target], [data.COLUMN], [rules], [rows], [freshness]",
            live="text",
            names="file",
            metavar="TOML",
        ),
    ] = ""
    normalize: Annotated[
        str,
        option(
            "TOML or a dict with a table for an input of the model: mean and std, one number or one a channel",
            live="text",
            names="file",
            metavar="TOML",
        ),
    ] = ""
    operating_point: Annotated[
        str, option("TOML or a dict: temperature, [thresholds] by label, otherwise", live="text", names="file", metavar="TOML")
    ] = ""
    scores: Annotated[
        Literal["auto", "logits", "probabilities", "values"], option("what the first output holds; auto reads it off the example")
    ] = "auto"
    card: CardWords = ""
    combine: Annotated[
        Literal["mean", "vote", "weighted"], option("how several models become one: of classes their probabilities, else their values")
    ] = "mean"
    weights: Annotated[tuple[float, ...], option("what each of several models counts, with --combine weighted", metavar="NUMBERS")] = ()
    notebook: Annotated[str, option("notebook that the bundle comes from, recorded as its origin", metavar="FILE")] = ""
