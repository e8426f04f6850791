"""Models on the hub by their revision, in a local cache laid out as huggingface_hub does it.

See https://huggingface.co/docs/hub/local-cache: `refs/BRANCH` holds a commit, and
`snapshots/COMMIT` its files. Nothing here reaches a network.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from suffrage import load_model
from suffrage.align import Checkpoint
from suffrage.align.checkpoint import load_checkpoint
from suffrage.align.training import prepare
from suffrage.errors import InputError
from suffrage.models import EntailmentModel, LanguageModel, ModelIdentity, hub, identify
from suffrage.models.answerer import LabelChoice
from suffrage.models.endpoint_api import endpoint_identity
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.identity import check_at_hand, identify_trained, is_hub_id, model_shape
from suffrage.models.loading import load_weights
from suffrage.models.local_settings import LocalModelSettings
from tests.align.test_training import job
from tests.synthetic import make_tiny_model

NAME = "owner/name"
FIRST, SECOND = "1" * 40, "2" * 40
QUESTION = LabelChoice(({"role": "user", "content": "A or B?"},), ("A", "B"))


def fill(cache: Path, commit: str, files: Path, branch: str | None = "main") -> Path:
    """A revision in a cache, and a branch that points to it."""
    folder = cache / "models--owner--name"
    snapshot = folder / "snapshots" / commit
    if not snapshot.exists():
        shutil.copytree(files, snapshot)
    if branch is not None:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / branch).write_text(commit)
    return snapshot


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no hub."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture(scope="module")
def other_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with other weights."""
    folder = tmp_path_factory.mktemp("other")
    return shutil.copytree(tiny_model, folder, dirs_exist_ok=True) and _reweighted(folder)


def _reweighted(folder: Path) -> Path:
    model, _ = load_weights(identify(str(folder), folder), "float32")
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1.5)
    model.save_pretrained(folder)
    return folder


def settings(**more: Any) -> LocalModelSettings:
    return LocalModelSettings(name=NAME, **more)


def test_a_branch_is_the_commit_that_the_cache_knows(cache: Path, tiny_model: Path) -> None:
    fill(cache, FIRST, tiny_model)
    fill(cache, SECOND, tiny_model, "draft")
    assert identify(NAME, Path()).revision == FIRST
    assert identify(settings(revision="main"), Path()).revision == FIRST
    assert identify(settings(revision="draft"), Path()).revision == SECOND
    assert identify(settings(revision=SECOND), Path()).revision == SECOND
    assert identify(NAME, Path()).described == f"{NAME} (revision {FIRST[:12]})"


def test_two_revisions_share_no_content_and_one_has_the_same_under_each_of_its_names(
    cache: Path, tiny_model: Path
) -> None:
    """The content is what answers, trainings and checkpoints are kept under."""
    fill(cache, FIRST, tiny_model)
    before = identify(NAME, Path())
    assert identify(settings(revision=FIRST), Path()).content == before.content
    fill(cache, SECOND, tiny_model)  # the branch moves on
    after = identify(NAME, Path())
    assert after.revision == SECOND and after.content != before.content
    assert identify(settings(revision=FIRST), Path()) == before


@pytest.mark.slow
def test_the_weights_of_the_revision_are_loaded_though_the_branch_moved_on(
    cache: Path, tiny_model: Path, other_model: Path
) -> None:
    fill(cache, FIRST, tiny_model)
    pinned = identify(NAME, Path())
    fill(cache, SECOND, other_model)
    (answer,) = LanguageModel.load(pinned).choose([QUESTION])
    (own,) = load_model(str(tiny_model)).choose([QUESTION])
    (moved,) = LanguageModel.load(identify(NAME, Path())).choose([QUESTION])
    assert answer.tolist() == own.tolist() != moved.tolist()


def test_a_model_that_is_nowhere_has_no_commit_and_is_not_loaded(cache: Path) -> None:
    found = identify(NAME, Path())
    assert found.revision is None and found.on_hub
    for load in (LanguageModel.load, EntailmentModel.load):
        with pytest.raises(InputError, match="nor in the local cache, and the hub could not be"):
            load(found)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("RepositoryNotFoundError", "is neither a folder here nor a model on the hub"),
        ("GatedRepoError", "is gated; accept its terms at https://huggingface.co/owner/name"),
    ],
)
@pytest.mark.parametrize("key", ["model", "study.yaml: evaluate: behaviour"])
def test_a_model_that_the_hub_does_not_give_is_named_with_its_key_before_it_is_loaded(
    failure: str, said: str, key: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub import errors

    kind = getattr(errors, failure)

    def refuse(*_: object, **__: object) -> None:
        raise kind.__new__(kind)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    with pytest.raises(InputError, match=f"^{key}: owner/name {said}"):
        identify(NAME, Path(), key)
    pinned = identify(settings(revision=FIRST), Path(), key)  # a commit is a content by itself
    with pytest.raises(InputError, match=f"^{key}: owner/name {said}"):
        check_at_hand(pinned, key)


def test_a_name_that_no_hub_can_have_is_refused(cache: Path) -> None:
    with pytest.raises(InputError, match="model: owner/na me is neither a folder here nor"):
        identify("owner/na me", Path())


def test_a_commit_is_at_hand_in_the_cache_and_nowhere_else_without_the_hub(
    cache: Path, tiny_model: Path
) -> None:
    fill(cache, FIRST, tiny_model, None)
    check_at_hand(identify(settings(revision=FIRST), Path()))
    check_at_hand(identify(str(tiny_model), Path()))
    with pytest.raises(InputError, match=r"the hub could not be asked for it\. Check the name"):
        check_at_hand(identify(settings(revision=SECOND), Path()))


def test_a_revision_that_the_hub_lacks_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import RevisionNotFoundError

    def missing(*_: object, **__: object) -> None:
        raise RevisionNotFoundError.__new__(RevisionNotFoundError)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", missing)
    with pytest.raises(InputError, match=r"owner/name has no revision v9; give a branch, a tag"):
        identify(settings(revision="v9"), Path())


def test_what_the_hub_says_is_looked_up_once_and_pinned_in_the_cache(
    cache: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked = []

    def download(name: str, file: str, revision: str | None = None, **_: object) -> str:
        asked.append((name, revision))
        return str(fill(cache, FIRST, tiny_model, revision or "main") / file)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert hub.resolved_revision(NAME, None) == FIRST
    assert hub.resolved_revision(NAME, None) == FIRST
    assert asked == [(NAME, None)]


@pytest.mark.parametrize(
    ("changes", "is_content"),
    [
        ({"attn_implementation": "eager"}, True),
        ({"trust_remote_code": True}, True),
        ({"device_map": "auto"}, False),
    ],
)
@pytest.mark.parametrize("place", ["hub", "folder"])
def test_what_changes_numbers_is_content_of_every_model(
    place: str, changes: dict[str, Any], is_content: bool, cache: Path, tiny_model: Path
) -> None:
    fill(cache, FIRST, tiny_model)
    name = NAME if place == "hub" else str(tiny_model)
    plain = identify(name, Path())
    assert identify(LocalModelSettings(name=name), Path()) == plain
    changed = identify(LocalModelSettings(name=name, **changes), Path())
    assert (changed.content != plain.content) == is_content


def test_a_folder_is_known_by_its_files_wherever_it_is(tiny_model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    assert identify(str(copy), Path()).content == identify(str(tiny_model), Path()).content
    with (copy / "config.json").open("a") as file:
        file.write("\n")
    assert identify(str(copy), Path()).content != identify(str(tiny_model), Path()).content
    with pytest.raises(InputError, match="only models on the hub have revisions"):
        identify(LocalModelSettings(name=str(copy), revision="main"), Path())


def test_attention_is_computed_as_the_study_says(tiny_model: Path) -> None:
    for wanted in ("eager", "sdpa"):
        given = LocalModelSettings(name=str(tiny_model), attn_implementation=wanted)
        model, _ = load_weights(identify(given, Path()), "float32")
        assert model.config._attn_implementation == wanted


@pytest.mark.slow
def test_weights_go_where_the_study_says_when_the_model_is_asked(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with one device there is nothing to see but what Transformers is told."""
    import transformers

    told = []
    load = transformers.AutoModelForCausalLM.from_pretrained

    def spy(*given: Any, **more: Any) -> Any:
        told.append(more.get("device_map"))
        return load(*given, **more)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", spy)
    given = identify(LocalModelSettings(name=str(tiny_model), device_map="cpu"), Path())
    (answer,) = LanguageModel.load(given).choose([QUESTION])
    (own,) = load_model(str(tiny_model)).choose([QUESTION])
    assert answer.tolist() == own.tolist()
    load_weights(given, "float32")
    assert told == ["cpu", None, None], "a training places its weights itself"


CODE = """
from transformers import LlamaConfig, LlamaForCausalLM


class OwnConfig(LlamaConfig):
    model_type = "own-kind"


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def own_code(tiny_model: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A model of a kind that Transformers does not know, with its code in its folder."""

    def make(repository: str = "") -> Path:
        folder = shutil.copytree(tiny_model, tmp_path / f"own{len(repository)}")
        config = json.loads((folder / "config.json").read_text())
        mark = f"{repository}--" if repository else ""
        config |= {"model_type": "own-kind", "architectures": ["OwnModel"]}
        config["auto_map"] = {
            "AutoConfig": f"{mark}own_code.OwnConfig",
            "AutoModelForCausalLM": f"{mark}own_code.OwnModel",
        }
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "own_code.py").write_text(CODE)
        return folder

    return make


def test_code_of_a_model_is_not_run_unasked(
    own_code: Callable[[str], Path], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_code("")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked at the terminal"))
    with pytest.raises(InputError, match=r"needs Python code .* say trust_remote_code: true"):
        LanguageModel.load(identify(str(folder), Path()))
    trusted = LocalModelSettings(name=str(folder), trust_remote_code=True)
    model = LanguageModel.load(identify(trusted, Path()))
    assert type(model.model).__name__ == "OwnModel"
    (one,), (two,) = model.choose([QUESTION]), load_model(str(tiny_model)).choose([QUESTION])
    assert one.tolist() == two.tolist()


def test_code_of_another_repository_cannot_be_pinned_and_is_refused(
    own_code: Callable[[str], Path],
) -> None:
    given = LocalModelSettings(name=str(own_code("someone/code")), trust_remote_code=True)
    with pytest.raises(
        InputError, match=r"runs code of someone/code, whose version a study cannot"
    ):
        LanguageModel.load(identify(given, Path()))


def test_a_whole_checkpoint_is_loaded_as_its_base_was(tiny_model: Path, tmp_path: Path) -> None:
    base = identify(LocalModelSettings(name=str(tiny_model), attn_implementation="eager"), Path())
    folder = shutil.copytree(tiny_model, tmp_path / "trained")
    assert identify_trained(folder, base).content != identify(str(folder), Path()).content
    (folder / "manifest.json").write_text(json.dumps({"base_model": base.__dict__}))
    loaded = load_checkpoint(base, folder, "float32")
    assert loaded.model.config._attn_implementation == "eager"
    assert Checkpoint.read(folder).base_model == base


def test_a_checkpoints_manifest_alone_runs_no_code(
    own_code: Callable[[str], Path], tmp_path: Path
) -> None:
    given = LocalModelSettings(name=str(own_code("")), trust_remote_code=True)
    base = identify(given, Path())
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps({"base_model": base.__dict__}))
    with pytest.raises(InputError, match="pass trust_remote_code=True"):
        load_model(folder)


@pytest.mark.slow
def test_an_adapter_is_loaded_over_the_revision_that_was_trained(
    cache: Path, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    fill(cache, FIRST, tiny_model)
    base = identify(NAME, Path())
    folder = tmp_path / "adapter"
    model, _ = load_weights(base, "float32")
    get_peft_model(model, LoraConfig(target_modules="all-linear")).save_pretrained(folder)
    (folder / "manifest.json").write_text(json.dumps({"base_model": base.__dict__}))
    fill(cache, SECOND, other_model)
    (answer,) = load_model(folder).choose([QUESTION])
    (own,) = load_model(str(tiny_model)).choose([QUESTION])
    assert answer == pytest.approx(own, rel=1e-5)


def test_an_adapters_own_file_names_the_revision(
    cache: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """So that PEFT alone puts it over the weights that it was trained on."""
    fill(cache, FIRST, tiny_model)
    given = replace(job(tiny_model, "sft", tmp_path, 1), model=identify(NAME, Path()))
    model, _ = prepare(given)
    assert model.peft_config["default"].revision == FIRST
    assert model.peft_config["default"].base_model_name_or_path == NAME


def test_a_model_in_the_cache_has_a_size_before_it_is_loaded(cache: Path, tiny_model: Path) -> None:
    assert model_shape(identify(NAME, Path())) is None
    fill(cache, FIRST, tiny_model)
    assert model_shape(identify(NAME, Path())) == model_shape(identify(str(tiny_model), Path()))


def test_an_endpoints_tokenizer_is_known_by_its_files(
    cache: Path, tiny_model: Path, tmp_path: Path
) -> None:
    def content(tokenizer: str | None) -> str:
        given = EndpointSettings(endpoint="https://host/v1", name="x", tokenizer=tokenizer)
        return endpoint_identity(given, tmp_path).content

    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    before = content("copy")
    (copy / "tokenizer_config.json").write_text("{}")
    assert content("copy") != before
    fill(cache, FIRST, tiny_model)
    before = content(NAME)
    fill(cache, SECOND, tiny_model)
    assert content(NAME) != before
    assert content(None) == EndpointSettings(endpoint="https://host/v1", name="x").identity.content


@pytest.mark.parametrize("name", ["bundled:x/y", "./a", "/a/b", "~/a", "a", "a/b/c"])
def test_paths_and_bundled_models_are_no_hub_ids(name: str) -> None:
    assert not is_hub_id(name)


def test_an_older_manifest_names_no_revision_and_is_refused(cache: Path, tmp_path: Path) -> None:
    """Which weights it was trained on is not known."""
    old = {"name": NAME, "source": NAME, "content": NAME, "licence": None}
    assert ModelIdentity(**old).revision is None
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps({"base_model": old}))
    fill(cache, FIRST, make_tiny_model(tmp_path / "model"))
    with pytest.raises(InputError, match="with other weights than it has today"):
        load_model(folder)


def test_tokenizer_code_of_another_repository_is_refused_too(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {
        "tokenizer_class": "Own",
        "auto_map": {"AutoTokenizer": ["other/code--own.Own", None]},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    given = LocalModelSettings(name=str(folder), trust_remote_code=True)
    with pytest.raises(InputError, match=r"runs code of other/code, whose version .* cannot pin"):
        LanguageModel.load(identify(given, Path()))
