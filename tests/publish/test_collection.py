"""A published folder: whole, readable without the run, and without a trace of who trained."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from suffrage.align.checkpoint import Checkpoint
from suffrage.cli import app
from suffrage.errors import InputError
from suffrage.library import ask, load_model
from suffrage.publish.citation import citation_file
from suffrage.publish.collection import BASE, publish_run
from suffrage.publish.dataset import shares_table
from suffrage.publish.merging import merge_checkpoint
from suffrage.publish.receipt import RECEIPT, RepresentationReceipt, sealed_files, verify
from suffrage.report.summary import board_summary
from suffrage.report.tables import read_results

QUESTION = ("Is enough spent on roads?", ["Too little", "About right", "Too much"])


@pytest.fixture(scope="session")
def published(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("for-others") / "published"
    publish_run(small_run, folder, authors=["The town"])
    return folder


def checkpoint_of(folder: Path) -> Path:
    (found,) = (p for p in (folder / "checkpoints").iterdir() if not p.is_symlink())
    return found


@pytest.mark.slow
def test_a_published_folder_verifies_and_has_all_that_it_lists(published: Path) -> None:
    found = verify(published)
    assert not found.problems
    assert [name.split(":")[0] for name in found.absent] == ["survey labelled_file"]
    page = (published / "index.html").read_text()
    for name in ("report.html", "dataset", "CITATION.cff", "receipt.json", "value_sets"):
        assert f'href="{name}"' in page and (published / name).exists()
    assert not verify(checkpoint_of(published)).problems
    verdict = board_summary(read_results(published))
    assert verdict is not None
    for text in (page, (published / "README.md").read_text()):
        assert verdict.question in text and f"{verdict.verdict}." in text


def found_out(folder: Path, seal: str | None = None) -> list[str]:
    """What `verify` finds wrong, also where the receipt itself cannot be read."""
    try:
        return list(verify(folder, seal).problems)
    except InputError as error:
        return [str(error)]


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy of the published folder, to be changed."""
    return Path(shutil.copytree(published, tmp_path / "copy"))


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.slow
def test_every_changed_byte_of_a_published_folder_is_found_with_its_file(copy: Path) -> None:
    names = files_of(copy)
    assert {name.split("/")[0] for name in names} >= {
        *("index.html", "README.md", "report.html", "results.json", "checkpoints", "dataset"),
        *("value_sets", "splits", "records", "answers", "results", BASE, "CITATION.cff"),
        "receipt.json",
    }
    for name in names:
        path = copy / name
        content = path.read_bytes()
        for position in {0, len(content) // 2, len(content) - 1}:
            changed = bytearray(content)
            changed[position] ^= 1
            path.write_bytes(changed)
            problems = found_out(copy)
            assert any(name in problem for problem in problems), f"{name} at byte {position}"
        path.write_bytes(content)
    assert not found_out(copy)


@pytest.mark.slow
def test_a_missing_renamed_or_added_file_is_found_whichever_it_is(copy: Path) -> None:
    for name in files_of(copy):
        (copy / name).rename(copy / f"{name}.old")
        problems = found_out(copy)
        assert any(problem.startswith(f"{name}: is missing") for problem in problems) or (
            name == "receipt.json" and "there is no receipt.json" in problems[0]
        )
        if name != "receipt.json":
            assert any(p.startswith(f"{name}.old: is not in the receipt") for p in problems)
        (copy / f"{name}.old").rename(copy / name)
    for name in ("added.txt", ".hidden", "dataset/more.csv", "new/folder/weights.safetensors"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
        assert found_out(copy) == [f"{name}: is not in the receipt; somebody added it."]
        (copy / name).unlink()
    assert not found_out(copy)


@pytest.mark.slow
def test_a_whole_folder_that_is_missing_or_a_link_is_found(copy: Path, tmp_path: Path) -> None:
    folders = [p for p in copy.iterdir() if p.is_dir()]
    parts = [copy / part.place for part in RepresentationReceipt.read(copy).parts if part.place]
    for folder in {*folders, *(part for part in parts if part.is_dir())}:
        folder.rename(tmp_path / "away")
        problems = found_out(copy)
        place = folder.relative_to(copy).as_posix()
        assert any(problem.startswith(f"{place}/") for problem in problems), place
        (tmp_path / "away").rename(folder)
    (tmp_path / "elsewhere").mkdir()
    (copy / "checkpoints" / "another").symlink_to(tmp_path / "elsewhere")
    assert found_out(copy) == [
        "checkpoints/another: is not in the receipt; somebody added it.",
    ]


@pytest.mark.slow
def test_only_the_publisher_s_seal_finds_a_receipt_that_somebody_replaced(copy: Path) -> None:
    published_seal = verify(copy).seal
    receipt = RepresentationReceipt.read(copy)
    (copy / "README.md").write_text("Another card.")
    files = {**receipt.files, **sealed_files(copy, ["README.md"])}
    (copy / RECEIPT).write_text(dataclasses.replace(receipt, files=files).text)
    assert not found_out(copy), "the receipt cannot vouch for itself"
    assert "its seal is another than the one given" in found_out(copy, published_seal)[0]
    assert not found_out(copy, f" {verify(copy).seal.upper()}\n")
    assert "64 digits and letters" in found_out(copy, published_seal[:16])[0]
    shown = CliRunner().invoke(app, ["verify", str(copy), "--seal", published_seal])
    assert shown.exit_code == 1 and "its seal is another" in shown.output
    assert "Fetch it again from the publisher" in shown.output
    shown = CliRunner().invoke(app, ["verify", str(copy), "--seal", verify(copy).seal])
    assert shown.exit_code == 0 and "(as given)" in shown.output
    assert "Fetch it again" not in shown.output


@pytest.mark.slow
def test_what_the_hub_s_tools_add_is_ignored_and_said(copy: Path) -> None:
    for name in (".gitattributes", ".cache/huggingface/download/README.md.metadata", ".git/HEAD"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("x")
    found = verify(copy)
    assert not found.problems
    assert list(found.ignored) == [".cache/huggingface", ".git", ".gitattributes"]
    shown = CliRunner().invoke(app, ["verify", str(copy)])
    assert shown.exit_code == 0 and "Ignored    .gitattributes" in shown.output
    for name in ("dataset/.gitattributes", ".cache/more"):
        (copy / name).write_text("x")
    assert len(found_out(copy)) == 2


@pytest.mark.slow
def test_no_respondents_rows_and_no_path_of_the_trainer_are_in_it(
    published: Path, small_run: Path, tiny_model: Path
) -> None:
    assert not list(published.rglob("responses.parquet"))
    hidden = [str(tiny_model), str(small_run), str(small_run.parent), str(Path.home()) + "/"]
    for path in published.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".md", ".html", ".csv", ".tex", ".cff"):
            text = path.read_text(encoding="utf-8")
            assert not [name for name in hidden if name in text], path


@pytest.mark.slow
def test_rows_put_back_are_compared_with_the_receipt(copy: Path, small_run: Path) -> None:
    shutil.copytree(small_run / "survey", copy / "survey", symlinks=True)
    for link in (copy / "survey").iterdir():
        if link.is_symlink():
            link.unlink()
    found = verify(copy)
    assert not found.problems and not found.absent
    (rows,) = (copy / "survey").rglob("responses.parquet")
    rows.write_bytes(rows.read_bytes()[:-1] + b"?")
    assert any("responses.parquet" in problem for problem in verify(copy).problems)


@pytest.mark.slow
def test_the_published_model_answers_as_the_run_s_after_the_original_base_is_gone(
    published: Path, small_run: Path, tmp_path: Path
) -> None:
    before = ask(Checkpoint.read(checkpoint_of(small_run)), *QUESTION, as_="people up north")
    moved = Path(shutil.copytree(published, tmp_path / "elsewhere"))
    checkpoint = Checkpoint.read(checkpoint_of(moved))
    assert checkpoint.base_model.source.startswith("../../")
    assert (moved / BASE / checkpoint.base_model.public_name / "config.json").is_file()
    after = ask(checkpoint, *QUESTION, as_="people up north")
    assert after.shares == pytest.approx(before.shares, abs=1e-6)


@pytest.mark.slow
def test_a_merged_model_is_an_ordinary_one_and_answers_as_the_adapter(
    small_run: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    source = checkpoint_of(small_run)
    merge_checkpoint(source, tmp_path / "merged")
    assert not list((tmp_path / "merged").glob("adapter*"))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    base = AutoModelForCausalLM.from_pretrained(Checkpoint.read(source).base_model.source)
    untrained = AutoModelForCausalLM.from_pretrained(Checkpoint.read(source).base_model.source)
    adapted = PeftModel.from_pretrained(base, str(source)).eval()
    tokens = torch.arange(1, 12)[None]
    with torch.no_grad():
        found, wanted = plain(tokens).logits, adapted(tokens).logits
        assert torch.allclose(found, wanted, atol=1e-5)
        assert not torch.allclose(found, untrained.eval()(tokens).logits, atol=1e-5)
    asked = ask(tmp_path / "merged", *QUESTION, as_="people up north")
    assert asked.shares == pytest.approx(
        ask(load_model(source), *QUESTION, as_="people up north").shares, abs=1e-5
    )
    with pytest.raises(InputError, match="nothing to merge"):
        merge_checkpoint(tmp_path / "merged", tmp_path / "again")


@pytest.mark.slow
def test_a_checkpoint_of_an_unfinished_run_is_merged_with_a_card_of_its_own(
    run: Path, tmp_path: Path
) -> None:
    source = checkpoint_of(run)
    (source / RECEIPT).unlink()
    for card in ("base_model: /home/somebody/model\n", None):
        (source / "README.md").unlink()
        if card:
            (source / "README.md").write_text(card)
        out = tmp_path / f"merged-{card is None}"
        shown = CliRunner().invoke(app, ["merge", str(source), "--out", str(out)])
        assert shown.exit_code == 0, shown.exception
        assert f'from_pretrained("{out}")' in shown.output and "MB, float32)" in shown.output
        found = (out / "README.md").read_text()
        assert "merged into its base model" in found and "/home/somebody" not in found
        (source / "README.md").touch()


@pytest.mark.slow
def test_a_run_that_was_changed_or_is_unfinished_is_not_published(
    run: Path, tmp_path: Path
) -> None:
    (run / "figures.csv").write_text("better,figures\n")
    with pytest.raises(InputError, match=r"figures.csv: was changed"):
        publish_run(run, tmp_path / "no")
    (run / "results.json").unlink()
    with pytest.raises(InputError, match="not the folder of a finished run"):
        publish_run(run, tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_the_dataset_is_the_value_sets_own_shares(published: Path, small_run: Path) -> None:
    table = pl.read_parquet(published / "dataset" / "shares.parquet")
    for folder in (small_run / "value_sets").iterdir():
        if folder.is_symlink():
            continue
        own = pl.read_parquet(folder / "shares.parquet").sort("item", "position")
        name = json.loads((folder / "value_set.json").read_text())["name"]
        found = table.filter(pl.col("value_set") == name).sort("item", "position")
        assert found["option"].to_list() == own["option"].to_list()
        np.testing.assert_allclose(found["share"], own["share"], atol=1e-12)
        assert found["n"].to_list() == own["n"].to_list()
    sums = table.group_by("value_set", "item").agg(pl.col("share").sum())
    np.testing.assert_allclose(sums["share"], 1.0)
    assert shares_table(read_results(small_run)).columns == table.columns


@pytest.mark.slow
def test_the_citation_has_what_the_format_requires(small_run: Path) -> None:
    """The required keys of the Citation File Format 1.2.0, and of its references and entities."""
    content = yaml.safe_load(citation_file(read_results(small_run), ["The town"]))
    assert {"cff-version", "message", "title", "authors"} <= set(content)
    assert content["cff-version"] == "1.2.0" and content["type"] in ("software", "dataset")
    assert content["authors"] == [{"name": "The town"}]
    assert content["date-released"].count("-") == 2
    for reference in content["references"]:
        assert {"type", "title", "authors"} <= set(reference)


@pytest.mark.slow
def test_the_card_says_whose_values_how_many_and_what_got_worse(published: Path) -> None:
    card = (checkpoint_of(published) / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    assert 'pip install -c constraints.txt ".[align]"' in body, "what a reader runs first"
    facts = yaml.safe_load(front)
    assert facts["library_name"] == "peft" and facts["license"] == "unknown"
    results = read_results(published)
    north = next(own for own in results.value_sets if own.name == "north")
    assert f"| north | people up north | {north.n} | {north.n_eff:.0f} |" in body
    figure = results.figure("fit", "fit", "distribution")
    assert figure is not None and f"{figure.value:.2f}" in body
    for title in ("What got worse", "Who is served worst", "Licence and terms", "Citation"):
        assert f"## {title}" in body
    assert "not for" in body and "peft" in body and "suffrage verify" in body
    assert "{'" not in body and "None" not in body and "True" not in body


@pytest.mark.slow
def test_a_card_and_an_adapter_s_settings_name_no_folder_already_in_the_run(
    small_run: Path, tiny_model: Path
) -> None:
    checkpoint = checkpoint_of(small_run)
    settings = json.loads((checkpoint / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == tiny_model.name
    assert str(tiny_model) not in (checkpoint / "README.md").read_text()
    parts = RepresentationReceipt.read(checkpoint).parts
    assert f"model {tiny_model.name}" in [part.name for part in parts]
