"""Commands on a finished run's files: publish it, check a copy, merge an adapter, free space."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from suffrage.cli.options import AsJson, print_json, say
from suffrage.errors import InputError


def publish_command(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.", metavar="RUN")],
    out: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="FOLDER")],
    base: Annotated[
        bool | None,
        typer.Option(
            "--base/--no-base",
            help="Copy the base model as well. Default: only one that nobody else can fetch, "
            "because it is a folder on this machine.",
        ),
    ] = None,
    consultation: Annotated[
        Path | None,
        typer.Option(
            help="A release made by `suffrage consult release`, to be published with the models.",
            metavar="FOLDER",
        ),
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Whom to cite; repeat for several.", metavar="NAME")
    ] = None,
    hub: Annotated[
        str | None,
        typer.Option(
            help="Upload the folder to this repository of the Hugging Face Hub, with the token "
            "that `hf auth login` or HF_TOKEN gives. A folder that was published before is "
            "uploaded as it is.",
            metavar="OWNER/NAME",
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody read a new repository on the hub.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a finished run into a folder for others: models, data, report, citation, receipt.

    Nothing is downloaded or uploaded unless you give --hub. Respondents' rows are never copied.

    Example: `suffrage publish runs/quickstart published`
    """
    from suffrage.publish.collection import publish_run, published_before
    from suffrage.publish.hub_upload import check_repository, push_to_hub
    from suffrage.publish.receipt import RECEIPT

    if hub is not None:
        check_repository(hub)
    elif public:
        raise InputError("--public goes with --hub; nothing is uploaded without it.")
    again = hub is not None and (out / RECEIPT).is_file()
    if again:
        done = published_before(run, out)
    else:
        done = publish_run(run, out, base, consultation, author or ())
    if not as_json:
        said = "As before" if again else "Published"
        say(f"{said:<9}  {done.folder} ({done.bytes / 1e6:.1f} MB)")
        given = {"--base": base, "--consultation": consultation, "--author": author}
        for option in (name for name, value in given.items() if again and value is not None):
            say(f"Not used   {option}: to change what was published, name a new folder.")
        say(f"Open       {done.folder / 'index.html'}")
        for name, why in done.left_out.items():
            say(f"Left out   {name}: {why}.")
        say(f"Seal       {done.receipt.seal}")
        say(f"Check      suffrage verify {shlex.quote(str(done.folder))}")
    address = push_to_hub(out, hub, public) if hub is not None else None
    if as_json:
        print_json({**done.as_json, "address": address})
    elif address is not None:
        say(f"Uploaded   {address}")
        say(f"Fetch      hf download {hub} --local-dir {shlex.quote(out.name)}")


def verify_command(
    folder: Annotated[
        Path,
        typer.Argument(help="A published folder, a checkpoint or a run.", metavar="FOLDER"),
    ],
    seal: Annotated[
        str | None,
        typer.Option(
            help="The seal that the publisher named elsewhere, such as in a paper.",
            metavar="SEAL",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a folder with its receipt: every file, and whether the parts belong together.

    Exit code 1 if a byte differs, a file is missing, or one was added. Whoever changes a file can
    write a new receipt too: only the seal, from the publisher, shows that.

    Example: `suffrage verify published`
    """
    from suffrage.publish.receipt import verify

    found = verify(folder, seal)
    if as_json:
        print_json(found.as_json)
    else:
        for problem in found.problems:
            say(f"Wrong      {problem}")
        for part in found.absent:
            say(f"Not here   {part}")
        for name in found.ignored:
            say(f"Ignored    {name}: the hub's tools add it.")
        known = "" if seal is None or found.problems else " (as given)"
        say(f"Seal       {found.seal}{known}")
        verdict = "differs from its receipt" if found.problems else "is as its receipt says"
        size = f"{found.files} files, {found.bytes / 1e6:.1f} MB"
        say(f"{folder} {verdict} ({size} compared and equal).")
        if found.problems:
            say(
                "Fetch it again from the publisher. "
                "If it is a run of your own, run its study again."
            )
    if found.problems:
        raise typer.Exit(1)


def merge_command(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint that is an adapter, such as a folder in a run's checkpoints.",
            metavar="CHECKPOINT",
        ),
    ],
    out: Annotated[Path, typer.Option(help="A new or empty folder.", metavar="FOLDER")],
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(help="The number format of the weights."),
    ] = "float32",
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Run Python code that comes with the base model."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write an adapter and its base model as one ordinary model, for any program.

    The checkpoint stays as it is. Keep it: the merged model has no receipt of its own.

    Example: `suffrage merge runs/quickstart/checkpoints/sft-seed7 --out merged`
    """
    from suffrage.publish.merging import merge_checkpoint
    from suffrage.storage import bytes_held

    merge_checkpoint(checkpoint, out, dtype, trust_remote_code)
    size = bytes_held(out)
    if as_json:
        print_json({"folder": str(out), "bytes": size})
        return
    say(f"Model  {out} ({size / 1e6:.1f} MB, {dtype})")
    say(f'Load   AutoModelForCausalLM.from_pretrained("{out}"), AutoTokenizer likewise')
    say(f'Ask    suffrage ask {shlex.quote(str(out))} "Should cars be banned?" --options "Yes, No"')


def clean_command(
    runs: Annotated[
        list[Path], typer.Argument(help="The folders of runs, such as runs/*.", metavar="RUN")
    ],
    old: Annotated[
        bool, typer.Option("--old", help="Free what belongs to earlier versions of the study.")
    ] = False,
    work: Annotated[
        bool,
        typer.Option(
            "--work", help="Free the kept answers and the points from which trainings resume."
        ),
    ] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Free the cache of converted models.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what runs and the cache hold, and free what you name. Without a flag nothing is removed.

    A finished run's own checkpoints, answers and results are never removed.

    Example: `suffrage clean runs/* --old --work`
    """
    from suffrage.study.commands.cleaning import WORDS, HeldKind, clean_runs

    asked: dict[HeldKind, bool] = {"old": old, "work": work, "cache": cache}
    found = clean_runs(runs, [kind for kind, wanted in asked.items() if wanted])
    if as_json:
        print_json(
            {
                "held": [held.as_json for held in found],
                "freed_bytes": sum(held.bytes for held in found if held.freed),
            }
        )
        return
    for held in found:
        done = "freed" if held.freed else ""
        say(f"{held.bytes / 1e6:>9.1f} MB  {done:<5}  {held.place}: {WORDS[held.kind]}")
    if not any(asked.values()):
        say("Nothing was removed. To free something, add its option, which is in brackets above.")
        return
    say(f"Freed {sum(held.bytes for held in found if held.freed) / 1e6:.1f} MB.")
