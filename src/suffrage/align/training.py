"""What every trained method shares: preparing the model, the trainer's settings, resuming."""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.align.checkpoint import Checkpoint
from suffrage.align.loop import all_finite, kept_point
from suffrage.align.method import (
    OnStep,
    TrainingFacts,
    TrainingJob,
    TrainingOptions,
    layer_range,
)
from suffrage.align.validation import Validation
from suffrage.errors import InputError, SuffrageError, TrainingDivergedError, require
from suffrage.models import identify_trained
from suffrage.models.device import device_name, fast_dtype, out_of_memory, process_count
from suffrage.models.loading import load_weights

LOG = "training.jsonl"
SECONDS_FILE = "seconds.json"
# What trainings on sampled answers log in addition to the loss, which says little of them.
ALSO_LOGGED = ("reward", "off_format", "kl", "entropy")
OUT_OF_MEMORY_REMEDY = "micro_batch: 1, gradient_checkpointing: true, dtype: bfloat16"


def training_dtype(options: TrainingOptions) -> str:
    """The dtype of the weights. Full fine-tuning in bfloat16 would round small steps away."""
    if options.dtype != "auto":
        return options.dtype
    return "float32" if options.adapter == "none" else fast_dtype()


def computes_in_bfloat16(options: TrainingOptions) -> bool:
    """Whether float32 weights are multiplied in bfloat16, where the machine is faster so.

    The weights that are trained stay float32, so that no small step is rounded away.
    """
    full = options.adapter == "none" and options.dtype == "auto"
    return full and fast_dtype() == "bfloat16"


def prepare(job: TrainingJob) -> tuple[Any, Any]:
    """The model and tokenizer of a job, ready to be trained.

    The model has a fresh LoRA adapter, or that of the checkpoint that the job starts from. With
    `adapter: none` all of its weights are trained, after an adapter that the job starts from is
    merged into them. Dropout is off.
    """
    peft = require("peft", "align", "training")
    transformers = require("transformers", "align", "training")
    transformers.set_seed(job.seed)
    start = Checkpoint.read(job.start) if job.start else None
    whole = start is not None and not start.is_adapter
    source = identify_trained(start.folder, job.model) if start and whole else job.model
    if job.options.report_to != "none":
        require(job.options.report_to, job.options.report_to, f"report_to: {job.options.report_to}")
    in_four_bits = job.options.adapter == "qlora"
    model, tokenizer = load_weights(source, training_dtype(job.options), in_four_bits)
    switch_off_noise(model)
    if in_four_bits:
        model = peft.prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=job.options.gradient_checkpointing
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if start is not None and start.is_adapter:
        if job.options.adapter == "none":
            merged = peft.PeftModel.from_pretrained(model, start.folder).merge_and_unload()
            model = merged.requires_grad_(True)
        else:
            # The same adapter is trained further, so that what is saved is the whole change.
            model = peft.PeftModel.from_pretrained(model, start.folder, is_trainable=True)
    elif job.options.adapter != "none":
        model = peft.get_peft_model(
            model,
            peft.LoraConfig(
                r=job.options.rank,
                lora_alpha=job.options.alpha,
                lora_dropout=0.0,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
                revision=job.model.revision,  # for whoever loads the adapter without Suffrage
            ),
        )
    if job.options.layers != "all":
        train_only_layers(model, job.options.layers)
    return model.train(), tokenizer


def train_only_layers(model: Any, wanted: str) -> None:
    """Freeze what is trained outside some layers, so that no gradient is computed below them.

    Parameters
    ----------
    model : PreTrainedModel
        With or without an adapter.
    wanted : str
        "upper", the upper two thirds; or the first and the last layer, counted from 1 at the input,
        such as "11-30". Embeddings and what follows the last layer are frozen.

    Raises
    ------
    InputError
        The model has no such layers.
    """
    count = int(model.config.get_text_config(decoder=True).num_hidden_layers)
    first, last = layer_range(wanted, count)
    if not 1 <= first <= last <= count:
        raise InputError(f"layers: {wanted}: the model has layers 1 to {count}.")
    for name, parameter in model.named_parameters():
        number = next((int(part) + 1 for part in name.split(".") if part.isdigit()), 0)
        if not first <= number <= last:
            parameter.requires_grad_(False)


def switch_off_noise(model: Any) -> None:
    """Switch off dropout, and experts' jitter, for training.

    A loss that compares the model with the one that training began from would compare the noise. A
    model then starts at the divergence 0, and is the same when it is read and when it is trained.
    The configuration that is saved with the model keeps its settings.
    """
    quiet: dict[int, Any] = {}
    for module in model.modules():
        if hasattr(module, "p") and "Dropout" in type(module).__name__:
            module.p = 0.0
        _without_noise(module)
        # Some layers look their dropout up in the configuration.
        config = vars(module).get("config")
        if config is not None and module is not model:
            module.config = quiet.setdefault(id(config), _without_noise(copy.copy(config)))


def _without_noise(thing: Any) -> Any:
    """The thing, with its attributes that name a rate of noise at 0."""
    for name, value in vars(thing).items():
        if isinstance(value, float) and ("drop" in name or "jitter" in name):
            setattr(thing, name, 0.0)
    return thing


def check_batch(options: TrainingOptions) -> None:
    """Check that a batch can be divided among micro-batches and processes.

    Raises SuffrageError when it cannot.
    """
    processes, micro_batch = process_count(), options.micro_batch_size()
    if options.batch % (micro_batch * processes):
        raise SuffrageError(
            f"batch {options.batch} is not a multiple of micro_batch {micro_batch}"
            + (f" times {processes} processes." if processes > 1 else ".")
        )


def trainer_settings(job: TrainingJob, parts: int | None = None) -> dict[str, Any]:
    """Settings of Transformers' TrainingArguments and its descendants, as keywords.

    The records are in the order of training already, so they are read in sequence: a resumed run
    sees the same batches.

    Parameters
    ----------
    job : TrainingJob
    parts : int, optional
        In how many parts a step is computed, where the trainer's examples are parts of a step. By
        default they are records.

    Raises
    ------
    SuffrageError
        The batch cannot be divided among the processes and micro-batches.
    """
    options = job.options
    torch = require("torch", "align", "training")
    # Processes share each step's records.
    processes = process_count()
    if parts is None:
        check_batch(options)
        micro_batch = options.micro_batch_size()
        parts = options.batch // micro_batch
    else:
        micro_batch = 1
    return {
        "output_dir": str(job.work),
        "max_steps": job.steps,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": parts // processes,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(options.warmup_share * job.steps),
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "gradient_checkpointing": options.gradient_checkpointing,
        "train_sampling_strategy": "sequential",
        "seed": job.seed,
        "data_seed": job.seed,
        "use_cpu": device_name() == "cpu",
        "bf16": computes_in_bfloat16(options),
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": options.save_every,
        "save_total_limit": 2,
        "report_to": options.report_to,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def one_device(arguments: Any) -> Any:
    """Transformers' TrainingArguments, changed to use one device in each process.

    Its trainer otherwise copies the model to every GPU that it sees and multiplies the batch by
    their number. `--launcher gpus` starts a process for each instead.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def run_trainer(
    job: TrainingJob,
    make: Callable[[list[Any]], Any],
    validation: Validation | None = None,
) -> TrainingFacts:
    """Train from the last whole point that an earlier try left, and save the result.

    Parameters
    ----------
    job : TrainingJob
    make : callable
        Builds the trainer from a list of callbacks.
    validation : Validation, optional
        Chooses the point that is saved. By default it is the last one.

    Raises
    ------
    SuffrageError
        The loss is not a number, or memory runs out.
    """
    transformers = require("transformers", "align", "training")
    job.work.mkdir(parents=True, exist_ok=True)
    start = last_whole_checkpoint(job.work)
    earlier = seconds_spent(job.work) if start else 0.0
    callbacks = [_progress_callback(job, transformers.TrainerCallback, validation)]
    trainer = make(callbacks)
    if validation is not None:
        trainer.add_callback(
            _validation_callback(validation, trainer, job.work, transformers.TrainerCallback)
        )
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    with storage.disk_errors(job.work), out_of_memory("training", OUT_OF_MEMORY_REMEDY):
        trainer.train(resume_from_checkpoint=str(start) if start else None)
        if validation is None:
            # By every process: where weights are sharded, each has a part of them.
            trainer.save_model(str(job.output))
        elif trainer.is_world_process_zero():
            shutil.copytree(validation.best_folder, job.output, dirs_exist_ok=True)
        if trainer.is_world_process_zero():
            (job.output / "training_args.bin").unlink(missing_ok=True)
            shutil.copy(job.work / LOG, job.output / LOG)
    return TrainingFacts(
        steps=int(trainer.state.global_step),
        examples=sum(not row.get("validation") for row in job.records.frame.to_dicts()),
        tokens=int(trainer.state.num_input_tokens_seen),
        dtype=training_dtype(job.options),
        resumed_from=int(start.name.split("-")[1]) if start else 0,
        seconds_before=earlier,
        processes=int(trainer.args.world_size),
        validation=validation.facts() if validation else None,
    )


def last_whole_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint.

    One that a kill left half-written, or whose weights are not numbers, is removed.
    """
    folders = sorted(work.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[1]))
    for folder in folders:
        try:
            # The trainer writes this file last.
            json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            whole = _saved_weights_are_finite(folder)
        except (OSError, json.JSONDecodeError):
            whole = False
        if whole:
            return folder
        shutil.rmtree(folder)
    return None


def _saved_weights_are_finite(folder: Path) -> bool:
    safetensors = require("safetensors", "align", "training")
    for file in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(file, "pt") as weights:
            if not all_finite(weights.get_tensor(name) for name in weights.keys()):  # noqa: SIM118
                return False
    return True


def _validation_callback(validation: Validation, trainer: Any, work: Path, base: type[Any]) -> Any:
    """A callback that asks what is held back, before the log is written."""

    def on_train_begin(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        validation.begin(work / LOG, trainer, int(state.global_step))

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        step = int(state.global_step)
        if validation.after_step(trainer, step, step >= state.max_steps):
            control.should_training_stop = True

    parts = {"on_train_begin": on_train_begin, "on_step_end": on_step_end}
    return type("Validating", (base,), parts)()


def _progress_callback(
    job: TrainingJob, base: type[Any], validation: Validation | None = None
) -> Any:
    """A callback that reports each step's loss, keeps the log, and stops at divergence."""
    parts = {
        "on_train_begin": _on_train_begin(job.work / LOG),
        "on_pre_optimizer_step": _on_pre_optimizer_step(job.work),
        "on_step_end": _on_step_end(job.work),
        "on_log": _on_log(job.on_step, job.work / LOG, validation),
        "on_save": _on_save(job.work),
    }
    return type("Progress", (base,), parts)()


def seconds_spent(work: Path) -> float:
    """Seconds of training behind the last saved point, over all tries."""
    noted = work / SECONDS_FILE
    return float(storage.read_json(noted)["seconds"]) if noted.exists() else 0.0


def _on_save(work: Path) -> Callable[..., None]:
    before, start = seconds_spent(work), time.monotonic()

    def on_save(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        spent = before + time.monotonic() - start
        if not state.is_world_process_zero:
            return
        storage.write_json(work / SECONDS_FILE, {"seconds": spent})

    return on_save


def _on_train_begin(log: Path) -> Callable[..., None]:
    """Cuts the log back to the point that the training goes on from."""

    def on_train_begin(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            keep_steps(log, int(state.global_step))

    return on_train_begin


def keep_steps(log: Path, last: int) -> None:
    """Remove from a log the steps after one, and a line that a kill cut short.

    Parameters
    ----------
    log : Path
        Of JSON lines, one a step in their order. It may be missing.
    last : int
        The last step that is kept.
    """
    if not log.exists():
        return
    content = log.read_bytes()
    whole = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
    size = sum(len(line) for line in whole if json.loads(line)["step"] <= last)
    os.truncate(log, size)


def _on_pre_optimizer_step(work: Path) -> Callable[..., None]:
    """Stops before a step whose gradient is not a number, while the weights are still good."""

    def on_pre_optimizer_step(
        self: Any, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        if not all_finite(p.grad for p in model.parameters() if p.grad is not None):
            raise TrainingDivergedError(
                _diverged("the gradient", state.global_step + 1, args, work)
            )

    return on_pre_optimizer_step


def _on_step_end(work: Path) -> Callable[..., None]:
    """Stops before weights that are not numbers are saved, as a point or as the result."""

    def on_step_end(
        self: Any, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        saves = control.should_save or state.global_step >= state.max_steps
        if saves and not all_finite(p for p in model.parameters() if p.requires_grad):
            raise TrainingDivergedError(_diverged("a weight", state.global_step, args, work))

    return on_step_end


def _diverged(what: str, step: int, args: Any, work: Path) -> str:
    return (
        f"training diverged: {what} at step {step} is not a number. The likely cause is a learning "
        f"rate too high (now {args.learning_rate:g}); try a tenth. {kept_point(work)}"
    )


def _on_log(on_step: OnStep, log: Path, validation: Validation | None) -> Callable[..., None]:
    def on_log(self: Any, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs or not state.is_world_process_zero:
            return
        step, loss = int(state.global_step), float(logs["loss"])
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"training diverged: the loss at step {step} is {loss}. The likely cause is a "
                f"learning rate too high (now {args.learning_rate:g}); try a tenth. "
                f"{kept_point(log.parent)}"
            )
        facts = {"step": step, "loss": loss, "learning_rate": logs.get("learning_rate")}
        if validation is not None:
            facts |= validation.logged(step)
        if "reward" in logs:
            facts |= {name: logs.get(name) for name in ALSO_LOGGED}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")
        on_step(step, int(state.max_steps), loss)

    return on_log
