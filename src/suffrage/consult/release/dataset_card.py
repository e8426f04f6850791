"""The words of a release: its dataset card with a datasheet, and its changelog.

The datasheet follows Gebru et al. (2021), Datasheets for Datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from suffrage.plurals import plural

NOT_TOLD = "The organisers have not said."
# The card warns where three known votes single out more than this share of people.
FINGERPRINT = 0.1
# What each column means, in every table that has it.
DICTIONARY = {
    "statement": "Id of a statement",
    "text": "The text as written, empty where withheld",
    "language": "Language of the text (BCP 47)",
    "seed": "Whether the organisers put it in",
    "meta": "Whether it is about the consultation itself, and takes no part in results",
    "withheld": "Why a text is not given",
    "person": "Id of a person, made for this table of this release",
    "vote": "1 agree, 0 pass, -1 disagree",
    "important": "Whether the person marked it as important",
    "probability": "The probability with which it was drawn to be shown, to two decimals",
    "training": "Whether the person consented to the training of models",
    "prompt": "Id of a prompt",
    "topic": "Topic of the prompt",
    "answer": "Id of an answer",
    "model": "The model that wrote the answer",
    "left": "The answer shown on the left",
    "right": "The answer shown on the right",
    "outcome": "left, right, tie, both_bad or skip",
    "confidence": "1 to 3, as the person said",
    "reasons": "Reasons given, where the person consented to the publication of texts",
    "core": "Whether the pair is of the common core shown to many",
    "check": "Whether the pair tests attention: instructed or repeat",
    "value": "A reaction: 1 like, -1 dislike; in demographics: what people said about themselves",
    "item": "What was asked of people",
    "with_item": "The item it is crossed with",
    "with_value": "The value of that item",
    "count": "People, rounded at random to base 3; empty where suppressed",
    "stratum": "Value of the item that makes the strata",
}


def card(manifest: Mapping[str, Any], descriptions: Mapping[str, str]) -> str:
    """Return the dataset card in Markdown, with the front matter that dataset hubs read.

    Parameters
    ----------
    manifest : mapping
        The manifest of the release.
    descriptions : mapping
        What each table contains, by its name.
    """
    about = manifest["about"]
    parts = [
        *_front_matter(manifest),
        *_title(manifest),
        *_files(manifest, descriptions),
        *_section(
            "Motivation",
            about["motivation"] or NOT_TOLD,
            f"Funding: {about['funding'] or NOT_TOLD}",
        ),
        *_section("Composition", *_composition(manifest["counts"])),
        *_section("Collection", *_collection(manifest)),
        *_section("Consent and withdrawal", *_consent(manifest)),
        *_section("Moderation", about["moderation"] or NOT_TOLD),
        *_section("Privacy", *_privacy(manifest["privacy"], manifest["counts"])),
        "### How far a row is a fingerprint",
        "",
        *_risk(manifest["privacy"]["re_identification"]),
        *_absence(manifest["privacy"]["absence"]),
        "",
        *_section("Uses", *_uses(about)),
        *_section(
            "Licence",
            f"People's texts and choices: {manifest['licence']}. Models' answers: "
            f"{manifest['model_licence']}.",
        ),
        *_section(
            "Maintenance",
            f"Contact: {about['contact'] or NOT_TOLD}",
            "",
            "To be removed, ask this contact. The next release is then made without you.",
            *_audit_head(manifest["audit_head"]),
        ),
        *_section("Columns", *(f"- `{name}`: {meaning}." for name, meaning in DICTIONARY.items())),
    ]
    return "\n".join(parts)


def _audit_head(head: str) -> list[str]:
    if not head:
        return []
    return [
        "",
        f"When the release was made, the organisers' audit log ended with this entry: `{head}`.",
    ]


def _section(title: str, *lines: str) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _front_matter(manifest: Mapping[str, Any]) -> list[str]:
    return [
        "---",
        f"license: {manifest['licence'].lower()}",
        f"language: [{', '.join(manifest['languages'])}]",
        f"pretty_name: {_quoted(manifest['title'])}",
        "tags: [public-consultation, preferences, opinion]",
        "configs:",
        *(
            f"  - {{config_name: {name}, data_files: data/{name}.parquet}}"
            for name in manifest["tables"]
        ),
        "---",
        "",
    ]


def _title(manifest: Mapping[str, Any]) -> list[str]:
    date = f" of {manifest['date']}" if manifest["date"] else ""
    return [
        f"# {_plain(manifest['title'])}",
        "",
        f"What a public consultation collected. Release {manifest['release']}{date}, made by "
        f"{manifest['code']}.",
        f"People were asked: {_plain(manifest['question'])}",
        "",
    ]


def _files(manifest: Mapping[str, Any], descriptions: Mapping[str, str]) -> list[str]:
    rows = manifest["rows"]
    return _section(
        "Files",
        "Each table is given as Parquet and JSON lines, which lose nothing, and as CSV, in which "
        "an apostrophe",
        "is put before texts that a spreadsheet would run as a formula. `manifest.json` lists "
        "every file's SHA-256.",
        "",
        "| table | rows | what |",
        "| --- | --- | --- |",
        *(f"| {name} | {rows[name]:,} | {descriptions[name]} |" for name in manifest["tables"]),
    )


def _composition(counts: Mapping[str, Any]) -> list[str]:
    return [
        f"- {counts['participants']:,} people took part and were not excluded "
        f"({counts['excluded']:,} were); the rows of {counts['in_rows']:,} who consented to it are "
        "published.",
        _unverified(counts["unverified"]),
        "- Statements: " + ", ".join(f"{n} {s}" for s, n in counts["states"].items()) + ". Only "
        "accepted ones are published.",
        *(
            f"- {n} statements' texts withheld: {why}."
            for why, n in counts["withheld_texts"].items()
        ),
        "- A person has another id in each table and in each release. Rows are shuffled. A "
        "statement has no author, and an author's vote on it is left out.",
        "- No time, address, token, panel id or weight is published: a weight would reveal the "
        "group.",
    ]


def _unverified(unverified: Mapping[str, Any]) -> str:
    if not unverified["people"]:
        return "- Everybody who took part came with an invitation, which lets one person in."
    return (
        f"- {plural(unverified['people'], 'person', ',')}, who gave {unverified['votes']:.0%} of "
        "the votes, came without an invitation: nobody checked who they are, or whether one "
        "person came several times."
    )


def _collection(manifest: Mapping[str, Any]) -> list[str]:
    return [
        f"Collected: {manifest['collected'] or 'the consultation does not say when'}. Recruitment: "
        f"{manifest['about']['recruitment'] or NOT_TOLD}",
        "",
        "Participants chose to take part. What they say describes them. It describes a "
        "population only as far as a weighted analysis shows, and weights cannot correct the "
        "reasons why people took part.",
    ]


def _consent(manifest: Mapping[str, Any]) -> list[str]:
    return [
        manifest["about"]["consent"] or NOT_TOLD,
        "",
        "People consent separately to taking part, to the publication of rows, to the "
        "publication of texts, and to training. `training` says for each row whether its person "
        "allows the training of models: respect it. People who were in an earlier release and "
        "are no longer in this one: "
        f"{manifest['tombstones']}. What was published before cannot be taken back; use the "
        "newest release.",
    ]


def _privacy(privacy: Mapping[str, Any], counts: Mapping[str, Any]) -> list[str]:
    return [
        f"- Counts of people: cells below {privacy['smallest_cell']} are suppressed, and others "
        f"where a total would give them away ({privacy['cells_suppressed']} of {privacy['cells']} "
        "cells); the rest are rounded at random to base 3, the same cell always in the same way. "
        "Tables that share an item are each protected separately.",
        "- Values that fewer than six people gave are joined into one, `rare values`. A table of "
        "counts is "
        "made again when six or more people came or went since it was made"
        + ("." if privacy["tables_renewed"] else "; these are those of an earlier release."),
        "- Texts were searched again for e-mail, telephone, tax and health numbers, accounts and "
        "addresses. The search knows no names.",
        *_joined(privacy, counts),
        *_private(privacy),
    ]


def _uses(about: Mapping[str, Any]) -> list[str]:
    return [
        "Research on opinion and on the alignment of models; training, of rows whose `training` is "
        "true.",
        "Do not try to find out who anybody is, and do not join these files with others for that "
        "purpose. " + (about["not_for"] or ""),
        "",
        "Opinions change. These are from the time when they were collected.",
    ]


def _joined(privacy: Mapping[str, Any], counts: Mapping[str, Any]) -> list[str]:
    rule = privacy["joined"]
    if not rule:
        return ["- Attributes and rows cannot be joined: they share no id."]
    mixed = f"t = {rule['t']:g}" if rule["t"] else f"l = {rule['l']}"
    given_up = counts.get("joined_given_up", [])
    return [
        f"- `joined`: every row has at least k = {rule['k']} alike, and sensitive attributes keep "
        f"{mixed} in each class ({', '.join(rule['sensitive']) or 'none'}"
        + (f"; given up: {', '.join(given_up)}" if given_up else "")
        + "). The votes in it count as attributes, and are in no other file."
    ]


def _private(privacy: Mapping[str, Any]) -> list[str]:
    wanted = privacy["private"]
    if not wanted:
        return []
    return [
        f"- `coarse_votes`: epsilon = {wanted['epsilon']:g} (two-sided geometric noise; five votes "
        "of a person count, drawn at random). Spent over all releases: "
        f"{privacy['epsilon_spent']:g} of {wanted['budget']:g}. The guarantee covers the votes in "
        "this table; its strata are those of the counts, and the rows next to it have none."
    ]


def _risk(tested: Sequence[Mapping[str, Any]]) -> list[str]:
    if not tested:
        return ["No rows of votes are published."]
    lines = [
        "A self-test on the published votes: people who are the only one with a few of their "
        "votes,",
        "drawn at random. If you know these votes of somebody from elsewhere, you can find their "
        "whole row.",
        "",
        "| votes known | people singled out | people tested |",
        "| --- | --- | --- |",
        *(f"| {t['known']} | {t['unique']:.0%} | {t['tried']} |" for t in tested),
        "",
    ]
    three = next((t["unique"] for t in tested if t["known"] == 3), 0.0)
    if three > FINGERPRINT:
        lines.append(
            f"**A row of votes here is a fingerprint**: three known votes single out {three:.0%}. "
            "New ids do not make it anonymous; it is published because these people consented to "
            "it."
        )
    else:
        lines.append("Three known votes single out few people here.")
    return lines


def _absence(found: Mapping[str, int]) -> list[str]:
    """What it tells which statements a person has not voted on."""
    lines = []
    if found["people"]:
        lines = [
            "",
            "The set of statements that a person voted on can identify them too, whatever they "
            "voted: "
            f"{found['unique_patterns']:,} of {found['people']:,} people are the only ones who "
            "voted on exactly theirs.",
        ]
    if found["authors"]:
        lines += [
            "",
            "Leaving out authors' votes on their own statements does not hide authors. If you "
            "know who wrote a statement, you know that the author is among the people without a "
            f"vote on it. For {found['authors_among_few']:,} of {found['authors']:,} authors "
            "these are "
            f"fewer than ten people, for {found['authors_alone']:,} the author alone.",
        ]
    return lines


def change_log(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the changelog in Markdown: for every release how many came and went, newest first."""
    lines = ["# Changelog", ""]
    for each in reversed(history):
        date = f", {each['date']}" if each["date"] else ""
        lines += [
            f"## Release {each['number']}{date}",
            "",
            f"- {each['joined']} people new, {each['withdrawn']} withdrawn or excluded since the "
            "one before.",
            "- Tables of counts: "
            + ("made again where due." if each["tables_renewed"] else "as before."),
            *(
                [f"- Differential privacy: epsilon {each['epsilon']:g} spent."]
                if each["epsilon"]
                else []
            ),
            "- Rows: "
            + ", ".join(f"{name} {n:,}" for name, n in sorted(each["rows"].items()))
            + ".",
            "",
        ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """One line in which no character has a meaning in Markdown."""
    line = " ".join(text.split())
    return "".join(f"\\{c}" if c in "<>[]`*_#|" else c for c in line)


def _quoted(text: str) -> str:
    line = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{line}"'
