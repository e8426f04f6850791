"""A release: nobody's id, nothing of who did not consent, the same twice for who asks twice."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suffrage.consult.consultation import Consultation
from suffrage.consult.release.release import make_release, read_release
from suffrage.consult.release.release_settings import (
    CoarseVotesSettings,
    JoinedRowsSettings,
    ReleaseSettings,
)
from suffrage.consult.release.self_check import faults_of
from suffrage.errors import InputError
from tests.consult.publics import TOPICS, made_up_public, without_people

HARMFUL = (
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script> stop",
    "of a participant",
    "\u202egnp.exe reversed",
    '+1 to that, "quoted"\r\nand a second line',
    "of a participant too",
    "\0=1+1",
    "long " * 20_000,
)
JOINED = JoinedRowsSettings(
    attributes=("age", "region"), sensitive=("religion",), statements=("s0", "s1")
)


def released(
    public: Consultation, folder: Path, name: str = "one", **more: object
) -> dict[str, pl.DataFrame]:
    made = make_release(
        public, folder / name, folder / "private.json", ReleaseSettings(**more), "2026-11-24"
    )
    return read_release(made.folder)


def everything_in(folder: Path) -> str:
    return "".join(
        path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix != ".parquet" and path.is_file()
    )


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=st.integers(20, 70),
    seed=st.integers(0, 10**6),
    consenting=st.sampled_from([1.0, 0.7]),
    k=st.integers(5, 10),
    close=st.booleans(),
)
def test_any_release_keeps_k_and_l_and_tells_nobodys_id(
    people: int,
    seed: int,
    consenting: float,
    k: int,
    close: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("release")
    public = made_up_public(people, seed, consenting)
    rule = {"l": 3} if not close else {"t": 0.3}
    joined = JoinedRowsSettings(
        attributes=("age", "region"), sensitive=("religion",), statements=("s0",), k=k, **rule
    )
    wanted = ReleaseSettings(joined=joined, cross=(("region", "religion"),))
    try:
        made = make_release(public, folder / "out", folder / "private.json", wanted)
    except InputError as error:
        assert "people consented" in str(error)
        return
    frames = read_release(made.folder)
    assert faults_of(public, frames, wanted) == []
    rows = Counter(frames["joined"].select(pl.exclude("religion")).rows())
    assert min(rows.values()) >= k
    if "religion" in frames["joined"].columns and not close:
        classes = (
            frames["joined"].group_by(pl.exclude("religion")).agg(pl.col("religion").n_unique())
        )
        assert classes["religion"].min() >= 3
    assert not any(
        person in everything_in(made.folder) for person in public.participants["participant"]
    )
    assert "s0" not in frames["votes"]["statement"].to_list()


def test_only_those_who_consented_have_rows_and_authors_votes_are_left_out(tmp_path: Path) -> None:
    public = made_up_public(60, 1, 0.6)
    frames = released(public, tmp_path)
    yes = public.participants.filter("consent_votes")["participant"].to_list()
    own = public.votes.join(public.statements.select("statement", "author"), on="statement")
    expected = own.filter(
        pl.col("participant").is_in(yes) & pl.col("author").ne_missing(pl.col("participant"))
    )
    assert frames["votes"].height == expected.height
    assert sorted(frames["votes"].select("statement", "vote").rows()) == sorted(
        expected.select("statement", "vote").rows()
    )
    assert not {"order", "author", "participant"} & {c for f in frames.values() for c in f.columns}


def test_ids_differ_between_tables_and_releases(tmp_path: Path) -> None:
    public = made_up_public()
    one = released(public, tmp_path, "one")
    two = released(public, tmp_path, "two")
    ids = [set(f[t]["person"]) for f in (one, two) for t in ("votes", "comparisons", "reactions")]
    assert all(not a & b for n, a in enumerate(ids) for b in ids[n + 1 :])


def test_texts_are_published_by_consent_and_without_personal_details(tmp_path: Path) -> None:
    texts = (*TOPICS[:4], "Ask me at me@example.org about parks")
    public = made_up_public(40, 2, 0.5, texts=texts)
    frames = released(public, tmp_path)
    told = {row["statement"]: row for row in frames["statements"].to_dicts()}
    assert told["s4"]["text"] == "" and "e-mail" in told["s4"]["withheld"]
    agreed = dict(public.participants.select("participant", "consent_texts").rows())
    author = public.statements.filter(pl.col("statement") == "s2")["author"][0]
    assert bool(told["s2"]["text"]) == agreed[author]
    assert "021 555" not in everything_in(tmp_path / "one")


@pytest.mark.slow
def test_one_who_withdraws_cannot_be_found_in_the_tables_of_two_releases(tmp_path: Path) -> None:
    public = made_up_public()
    one = released(public, tmp_path, "one", cross=(("age", "region"),))
    left = without_people(public, {"person-007"})
    two = released(left, tmp_path, "two", cross=(("age", "region"),))
    assert one["demographics"].equals(two["demographics"])
    assert two["votes"]["person"].n_unique() == one["votes"]["person"].n_unique() - 1
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert manifest["tombstones"] == 1 and manifest["history"][-1]["withdrawn"] == 1
    assert "1 withdrawn" in (tmp_path / "two" / "CHANGELOG.md").read_text()
    gone = {f"person-{n:03d}" for n in range(7, 17)}
    three = released(without_people(public, gone), tmp_path, "three", cross=(("age", "region"),))
    assert not three["demographics"].equals(one["demographics"])
    assert json.loads((tmp_path / "three" / "manifest.json").read_text())["tombstones"] == 10


@pytest.mark.slow
def test_a_table_asked_for_later_renews_no_other(tmp_path: Path) -> None:
    """Else a new table, and one person gone, would show them in the old ones."""
    public = made_up_public()
    one = released(public, tmp_path, "one")["demographics"]
    left = without_people(public, {"person-007"})
    two = released(left, tmp_path, "two", cross=(("region", "religion"),))["demographics"]
    assert two.filter(pl.col("with_item") == "").equals(one)
    assert two.height > one.height


def test_what_few_people_say_of_themselves_is_nowhere_to_be_read(tmp_path: Path) -> None:
    public = made_up_public()
    rows = public.demographics.with_columns(
        value=pl.when((pl.col("participant") == "person-003") & (pl.col("item") == "region"))
        .then(pl.lit("the lighthouse"))
        .otherwise("value")
    )
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    wanted = {
        "joined": JOINED,
        "cross": (("region", "religion"),),
        "private": CoarseVotesSettings(stratum="region"),
    }
    released(Consultation(**{**tables, "demographics": rows}), tmp_path, **wanted)
    assert "lighthouse" not in everything_in(tmp_path / "one")


@pytest.mark.slow
def test_the_order_of_rows_changes_no_table(tmp_path: Path) -> None:
    public = made_up_public()
    turned = Consultation(
        **{
            name: getattr(public, name).reverse()
            if isinstance(getattr(public, name), pl.DataFrame)
            else getattr(public, name)
            for name in public.__dataclass_fields__
        }
    )
    make_release(public, tmp_path / "one", tmp_path / "private.json")
    private = json.loads((tmp_path / "private.json").read_text())
    (tmp_path / "again.json").write_text(json.dumps({**private, "releases": []}))
    make_release(turned, tmp_path / "two", tmp_path / "again.json")
    one, two = read_release(tmp_path / "one"), read_release(tmp_path / "two")
    assert all(one[name].equals(two[name]) for name in one)


def test_a_release_with_the_same_key_has_the_same_tables_to_the_byte(tmp_path: Path) -> None:
    """Whoever changes these bytes on purpose says so in the changelog: releases are compared."""
    private = {"format": 1, "consultation": "town", "key": "07" * 32, "releases": []}
    (tmp_path / "private.json").write_text(json.dumps(private))
    wanted = {
        "joined": JOINED,
        "cross": (("region", "religion"),),
        "private": CoarseVotesSettings(stratum="region"),
    }
    released(made_up_public(60, 1, 0.9), tmp_path, **wanted)
    digest = hashlib.sha256()
    for path in sorted((tmp_path / "one" / "data").glob("*.csv")):
        digest.update(path.name.encode() + path.read_bytes())
    assert digest.hexdigest() == "0e799a0d8b7416f62bdc4143ae2f711e94ece72a53a991eaec0c3747dabd3968"


def test_csv_is_harmless_and_parquet_and_jsonl_are_as_written(tmp_path: Path) -> None:
    public = made_up_public(30, 3, texts=HARMFUL)
    frames = released(public, tmp_path)
    seeds = [text for at, text in enumerate(HARMFUL) if at % 3 != 2]
    assert set(seeds) <= set(frames["statements"]["text"])
    lines = (tmp_path / "one" / "data" / "statements.jsonl").read_text().splitlines()
    assert set(seeds) <= {json.loads(line)["text"] for line in lines}
    with (tmp_path / "one" / "data" / "statements.csv").open(newline="") as file:
        cells = [row["text"] for row in csv.DictReader(file)]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    votes = pl.read_csv(tmp_path / "one" / "data" / "votes.csv")
    assert set(votes["vote"]) <= {-1, 0, 1}
    assert "<script>" not in (tmp_path / "one" / "README.md").read_text()


@pytest.mark.slow
def test_noise_costs_epsilon_once_and_the_budget_holds(tmp_path: Path) -> None:
    wanted = {"private": CoarseVotesSettings(stratum="region", epsilon=1.0, budget=2.0)}
    public = made_up_public()
    one = released(public, tmp_path, "one", **wanted)
    # Hardly anybody changed: the same noisy table again, at no cost.
    two = released(without_people(public, {"person-001"}), tmp_path, "two", **wanted)
    assert one["coarse_votes"].equals(two["coarse_votes"])
    assert (
        json.loads((tmp_path / "two" / "manifest.json").read_text())["privacy"]["epsilon_spent"]
        == 1.0
    )
    gone = {f"person-{n:03d}" for n in range(8)}
    released(without_people(public, gone), tmp_path, "three", **wanted)
    with pytest.raises(InputError, match="2 of a budget of 2 is spent"):
        released(
            without_people(public, gone | {f"person-{n:03d}" for n in range(20, 30)}),
            tmp_path,
            "four",
            **wanted,
        )
    assert not (tmp_path / "four").exists()


def test_one_person_moves_at_most_five_counts(tmp_path: Path) -> None:
    """Before noise: with an epsilon so large that there is none."""
    sure = {"private": CoarseVotesSettings(stratum="region", epsilon=1000, budget=1e6)}
    frames = released(made_up_public(), tmp_path, **sure)
    people = made_up_public().participants.height
    assert frames["coarse_votes"]["count"].sum() <= 5 * people


def test_the_metadata_list_every_file_and_column(tmp_path: Path) -> None:
    frames = released(made_up_public(), tmp_path)
    found = json.loads((tmp_path / "one" / "croissant.json").read_text())
    assert (
        found["@type"] == "sc:Dataset"
        and found["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    )
    assert {"name", "description", "license", "url", "version", "datePublished", "citeAs"} <= set(
        found
    )
    for entry in found["distribution"]:
        content = (tmp_path / "one" / entry["contentUrl"]).read_bytes()
        assert entry["@type"] == "cr:FileObject"
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    files = {entry["@id"] for entry in found["distribution"]}
    for table in found["recordSet"]:
        assert [f["source"]["extract"]["column"] for f in table["field"]] == frames[
            table["@id"]
        ].columns
        for field in table["field"]:
            assert field["@id"].startswith(table["@id"] + "/") and field["dataType"].startswith(
                "sc:"
            )
            assert field["source"]["fileObject"]["@id"] in files


def test_a_changed_release_is_refused_and_an_old_one_is_never_overwritten(tmp_path: Path) -> None:
    public = made_up_public()
    released(public, tmp_path)
    with pytest.raises(InputError, match="is there already"):
        released(public, tmp_path)
    path = tmp_path / "one" / "data" / "votes.csv"
    path.write_text(path.read_text() + "x")
    with pytest.raises(InputError, match=r"votes\.csv: is not the file"):
        read_release(tmp_path / "one")


@pytest.mark.slow
def test_rows_and_joined_rows_never_share_a_vote_in_any_release(tmp_path: Path) -> None:
    public = made_up_public()
    released(public, tmp_path, "one", joined=JOINED)
    later = released(public, tmp_path, "two")
    assert not {"s0", "s1"} & set(later["votes"]["statement"])
    with pytest.raises(InputError, match="an earlier release has joined rows"):
        released(public, tmp_path, "three", joined=JOINED)
    released(public, tmp_path / "other", "one")
    with pytest.raises(InputError, match="votes on s0 were published row by row"):
        released(public, tmp_path / "other", "two", joined=JOINED)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"cross": (("age", "shoes"),)}, '"shoes" is not a demographic item'),
        ({"private": CoarseVotesSettings(stratum="party")}, '"party" is not a demographic item'),
        ({"cross": (("age", "regoin"),)}, 'Did you mean "region"'),
        (
            {"joined": JoinedRowsSettings(attributes=("age",), statements=("s99",))},
            '"s99" is not an accepted',
        ),
    ],
)
def test_a_mistake_in_the_settings_is_named(
    more: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        released(made_up_public(), tmp_path, **more)


def test_k_below_five_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 5"):
        JoinedRowsSettings(attributes=("age",), k=4)


def test_the_private_file_is_of_one_consultation_and_its_owners(tmp_path: Path) -> None:
    released(made_up_public(), tmp_path)
    assert (tmp_path / "private.json").stat().st_mode & 0o077 == 0
    content = json.loads((tmp_path / "private.json").read_text())
    (tmp_path / "private.json").write_text(json.dumps({**content, "consultation": "village"}))
    with pytest.raises(InputError, match="belongs to the consultation village"):
        released(made_up_public(), tmp_path, "two")


def numbered_alike(public: Consultation) -> Consultation:
    """The same with people, statements, prompts and answers numbered from 0, as Polis does."""
    new: dict[str, str] = {}
    for table, key in (
        ("participants", "participant"),
        ("statements", "statement"),
        ("prompts", "prompt"),
        ("answers", "answer"),
    ):
        new |= {old: str(at) for at, old in enumerate(getattr(public, table)[key])}
    ids = ("participant", "author", "statement", "prompt", "answer", "left", "right")

    def renamed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            pl.col(name).replace(new) for name in ids if name in frame.columns
        )

    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    return Consultation(
        **{n: renamed(t) if isinstance(t, pl.DataFrame) else t for n, t in tables.items()}
    )


@pytest.mark.slow
def test_people_and_statements_may_be_numbered_alike(tmp_path: Path) -> None:
    public = made_up_public(60, 1)
    ages = public.demographics.with_columns(
        # As many as there are people in each of two ages, which are also ids of people.
        value=pl.when(pl.col("item") == "age").then(pl.lit("7")).otherwise("value")
    )
    tables = {n: getattr(public, n) for n in public.__dataclass_fields__}
    public = Consultation(**{**tables, "demographics": ages})
    named = released(public, tmp_path / "named", joined=JOINED, cross=(("age", "region"),))
    wanted = JOINED.model_copy(update={"statements": ("0", "1")})
    alike = released(
        numbered_alike(public), tmp_path / "alike", joined=wanted, cross=(("age", "region"),)
    )
    assert {n: f.height for n, f in alike.items()} == {n: f.height for n, f in named.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "column", "ids"),
    [
        ("votes", "person", range(60)),
        ("votes", "statement", range(60)),
        ("comparisons", "left", range(60)),
        ("votes", "vote", range(60)),
        ("statements", "language", range(8)),
        ("demographics", "with_value", range(60)),
    ],
)
def test_somebodys_number_in_a_table_is_a_fault(
    table: str, column: str, ids: range, tmp_path: Path
) -> None:
    public = numbered_alike(made_up_public(60, 1))
    frames = released(public, tmp_path)
    assert faults_of(public, frames, ReleaseSettings()) == []
    leaking = frames[table]
    cells = pl.Series([str(ids[at % len(ids)]) for at in range(leaking.height)])
    leaking = leaking.with_columns(cells.cast(leaking.schema[column]).alias(column))
    faults = faults_of(public, {**frames, table: leaking}, ReleaseSettings())
    assert f"{table}.{column} holds the id of a participant" in faults


def test_the_card_counts_what_missing_votes_tell(tmp_path: Path) -> None:
    public = made_up_public(60, 1)
    votes = released(public, tmp_path)["votes"]
    told = json.loads((tmp_path / "one" / "manifest.json").read_text())["privacy"]["absence"]
    patterns = Counter(tuple(sorted(own["statement"])) for _, own in votes.group_by("person"))
    alone = sum(count == 1 for count in patterns.values())
    assert (told["people"], told["unique_patterns"]) == (votes["person"].n_unique(), alone)
    by_author: dict[str, set[str]] = {}
    for statement, author in public.statements.select("statement", "author").iter_rows():
        if author is not None:
            by_author.setdefault(author, set()).add(statement)
    seen = [set(own["statement"]) for _, own in votes.group_by("person")]
    candidates = [sum(not (own & row) for row in seen) for own in by_author.values()]
    assert told["authors"] == len(candidates) and min(candidates) >= 1
    assert told["authors_among_few"] == sum(number < 10 for number in candidates)
    card = " ".join((tmp_path / "one" / "README.md").read_text().split())
    assert f"{alone} of {told['people']} people are the only one" in card
    assert f"For {told['authors_among_few']} of {told['authors']} authors" in card
