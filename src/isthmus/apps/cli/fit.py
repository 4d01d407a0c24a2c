"""`isthmus fit`: train one model and keep it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import OptionError
from . import arguments
from .screen import INTERRUPTED, print_interrupted, print_notes, print_result

if TYPE_CHECKING:
    from ...estimator.base import Estimator
    from ...training.checkpoint import Checkpoint
    from ...training.distributed import Workers

MODEL_ENDING = ".safetensors"
# The one model that is no variant.
DETECTOR = "detector"


def fit(
    data: arguments.Data,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="One of those that `isthmus models` lists, such as vae; or detector: several small VAEs that find "
            "unusual rows.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="M.safetensors", help="Where to write the model.")],
    latent: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Latent units; auto tries several numbers and keeps the smallest that does as well as the best.  "
            "[default: the model's own]",
            show_default=False,
        ),
    ] = None,
    epochs: arguments.Epochs = None,
    drop: arguments.Drop = None,
    seed: arguments.Seed = 0,
    device: arguments.Device = "auto",
    set_: arguments.Settings = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Leave the rows in their files and read a few at a time, as is done by itself where they are larger "
            "than memory: Parquet, Arrow or .npy files, one or a folder of them.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the checkpoint beside M.safetensors that an interrupted run left."),
    ] = False,
    as_json: arguments.Json = False,
) -> None:
    """Train one model and write it to a file.

    Ctrl-C ends training and keeps the best so far, and a checkpoint from which --resume goes on. Several processes
    train one model together if torchrun starts them: torchrun --nproc-per-node N -m isthmus fit …
    """
    check_model_place(out)
    flags = {"latent_dim": _latent_dim(latent), "epochs": epochs, "random_state": seed, "device": device}
    options = arguments.merged(arguments.settings(set_), flags)
    if model == DETECTOR:
        _fit_detector(data, out, drop, stream or resume, options, as_json)
        return
    estimator = _estimator(model, options)

    from ...training.distributed import joined

    with joined() as workers, workers.one_voice():
        _fit(estimator, workers, data, out, drop, stream, resume, options, as_json)


def _fit(
    estimator: "Estimator",
    workers: "Workers",
    data: str,
    out: Path,
    drop: list[str] | None,
    stream: bool,
    resume: bool,
    options: dict[str, Any],
    as_json: bool,
) -> None:
    """Train and write, together with the other processes if there are any; the first one writes."""
    from ...estimator import models
    from ...training.checkpoint import Checkpoint
    from .inputs import read_or_stream

    rows = read_or_stream(data, arguments.separated(drop), stream)
    checkpoint = Checkpoint(out.with_name(out.name + ".checkpoint"), {})
    if not resume and workers.leads:
        checkpoint.remove()
    elif resume and not checkpoint.exists:
        print_notes([f"there is no checkpoint {checkpoint.path}; starting from the beginning"])
    workers.meet()
    estimator.set_params(verbose=1)  # a bar, on a terminal only; the model file keeps what the user asked for
    began = time.perf_counter()
    estimator.fit(rows, checkpoint=checkpoint.path, workers=workers)
    seconds = time.perf_counter() - began  # of all sizes that were tried, and of learning what the columns are
    estimator.set_params(verbose=options.get("verbose", 0))
    print_notes(estimator.domain_.notes())
    if estimator.training_["interrupted"]:
        _keep_the_best(estimator, out, checkpoint, workers)
    if workers.leads:
        estimator.save(out)
        checkpoint.remove()
    workers.meet()
    facts = _facts(estimator, out)
    sentence = (
        f"{models.find(estimator.model_name).title} with {facts['latent_dim']} latent units: {facts['rows']:,} rows, "
        f"{facts['epochs']} epochs, {seconds:.1f} s, loss {facts['loss']:.4g} nats per row. Written to {out}"
    )
    if "size_search" in facts:
        from .sizes import reason

        sentence += f"\n{reason(facts['size_search']).capitalize()}."
    print_result(facts, sentence, as_json)


def _fit_detector(
    data: str, out: Path, drop: list[str] | None, unsuitable: bool, options: dict[str, Any], as_json: bool
) -> None:
    """Train a detector and write it."""
    from ...estimator.detector import Detector, DetectorOptions
    from .inputs import read_rows

    if unsuitable:
        raise OptionError(
            "--model detector: is trained in seconds, on rows in memory; leave --stream and --resume away"
        )
    arguments.check_names(options, list(DetectorOptions.declared()), "the detector")
    detector = Detector(**options)
    detector._options()
    began = time.perf_counter()
    detector.fit(read_rows(data, arguments.separated(drop)).rows)
    seconds = time.perf_counter() - began
    print_notes(detector.domain_.notes())
    detector.save(out)
    facts = {"model": DETECTOR, **detector.training_, "threshold": detector.offset_, "out": str(out)}
    sentence = (
        f"Detector of {len(detector.models_)} VAEs: {facts['rows']:,} rows learnt, {facts['calibration_rows']:,} held "
        f"out, {seconds:.1f} s; flags scores below {detector.offset_:.3g}. Written to {out}"
    )
    print_result(facts, sentence, as_json)


def check_model_place(out: Path) -> None:
    """Refuse a place for a model before it is trained."""
    if out.suffix.lower() != MODEL_ENDING:
        raise OptionError(f"--out {out}: a model file ends in {MODEL_ENDING}; name it {out.with_suffix(MODEL_ENDING)}")
    arguments.check_place(out)


def _latent_dim(text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    numbers = arguments.whole_numbers(text, "--latent")
    if len(numbers) > 1:
        raise OptionError(f"--latent {text!r}: fit trains one model; give one number, or compare sizes with compare")
    return numbers[0]


def _estimator(name: str, options: dict[str, Any]) -> "Estimator":
    """An estimator with these options, all of which have been checked."""
    from ...comparison.contenders import PCA_NAME, SHORT_NAMES
    from ...estimator import models
    from ...estimator.public import declared_options, public_class

    if name == PCA_NAME:
        raise OptionError(f"model '{PCA_NAME}' is only compared with; the models are {', '.join(models.names())}")
    full_name = SHORT_NAMES.get(name, name)
    arguments.check_names(options, list(declared_options(full_name)), models.find(full_name).title)
    estimator = public_class(full_name)(**options)
    estimator._options()
    return estimator


def _keep_the_best(estimator: "Estimator", out: Path, checkpoint: "Checkpoint", workers: "Workers") -> None:
    """What Ctrl-C leaves, said in one line; ends the program with the status of an interrupted one."""
    epochs = estimator.training_["epochs"]
    if workers.leads and epochs == 0:
        checkpoint.remove()
        print_interrupted("before the first epoch ended; nothing was written")
    elif workers.leads:
        estimator.save(out)
        more = "; the same command with --resume goes on" if checkpoint.exists else ""
        print_interrupted(f"after {epochs} epochs; the best so far is in {out}{more}")
    workers.meet()
    raise SystemExit(INTERRUPTED)


def _facts(estimator: "Estimator", out: Path) -> dict[str, Any]:
    best = estimator.history_[estimator.training_["best_epoch"] - 1]
    facts = {
        "model": estimator.model_name,
        "latent_dim": estimator.latent_dim_,
        **{name: estimator.training_[name] for name in ("rows", "epochs", "best_epoch", "seconds", "parameters")},
        "loss": (best["validation"] or best["train"])["loss"],
        "loss_of": "validation" if best["validation"] else "train",
        "out": str(out),
    }
    if hasattr(estimator, "size_search_"):
        facts["size_search"] = estimator.size_search_
    return facts
