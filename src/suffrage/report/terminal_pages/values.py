"""What `suffrage values` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from suffrage import storage
from suffrage.report.rendering import render_page
from suffrage.survey.reading import first_names
from suffrage.values.taxonomies import Taxonomy


def taxonomy_json(found: Taxonomy) -> dict[str, Any]:
    """A taxonomy for scripts."""
    return {**found.__dict__, "values": [value.__dict__ for value in found.values]}


def taxonomy_table(found: Taxonomy) -> Any:
    """A taxonomy for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("Value")
    table.add_column("In our words", overflow="fold")
    table.add_column("Belongs to")
    for value in found.values:
        above = ", ".join(name.replace("_", " ") for name in value.higher_order)
        table.add_row(value.id, value.name, value.description, above)
    circle = " In the order of the circle." if found.is_circle else ""
    return Group(Text(f"{found.title}. {found.source}.{circle}\n", style="bold"), table)


def scores_table(scores: dict[str, Any]) -> Any:
    """Value scores for a terminal (a Rich renderable)."""
    from rich.console import Group
    from rich.text import Text

    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Value", no_wrap=True)
    table.add_column("Alpha", justify="right", no_wrap=True)
    table.add_column("Omega", justify="right", no_wrap=True)
    centred = scores["scale"] == "centred"
    for name, group in scores["value_sets"].items():
        table.add_column(f"{name} ({_people(group)})", justify="right", no_wrap=True)
    for value, word in scores["values"].items():
        cells = [
            f"{_signed(group['mean'][value], centred)} ± {group['standard_error'][value]:.3f}"
            for group in scores["value_sets"].values()
        ]
        table.add_row(
            word, reliability(scores["alpha"][value]), reliability(scores["omega"][value]), *cells
        )
    note = f"{scale_words(scores)} After ± is the standard error."
    note += (
        " In brackets: people with a score, of all in the value set."
        if any(_people(group) != f"{group['people']:,}" for group in scores["value_sets"].values())
        else ""
    )
    note += " Alpha, omega: reliability over everyone (Cronbach; McDonald, from three items on)."
    if scores["reversed"]:
        note += f" These items run against their value: {', '.join(scores['reversed'])}."
    parts: list[Any] = [Text(f"{scores['title']}\n", style="bold"), table]
    if scores["map"]:
        parts += [Text(""), _map_table(scores["map"])]
    note += "".join(f"\n{line}" for line in direction_lines(scores["directions"]))
    if scores["circle"]:
        note += f"\n{circle_words(scores['circle'])}"
    if scores.get("no_map"):
        note += f"\nNo cultural map: {scores['no_map']}"
    return Group(*parts, Text(f"\n{note}", style="dim"))


def scale_words(scores: dict[str, Any]) -> str:
    """What a score is, in a sentence or two."""
    if scores["scale"] == "centred":
        return (
            "Each score is the mean of a value's items minus the person's mean over all items: "
            "above 0 matters more to these people than their other values do."
        )
    if scores["scale"] == "steps":
        return "Each score is the mean of a value's items, from 1 up in steps of their scale."
    return "Each score is the mean of a value's items, each stretched to run from 0 to 1."


def direction_lines(directions: dict[str, dict[str, Any]]) -> list[str]:
    """Which end of the items was taken for the most, and what says so: a line for each answer."""
    items: dict[tuple[str, str, bool], list[str]] = {}
    for item, found in directions.items():
        items.setdefault((found["most"], found["why"], found["is_last"]), []).append(item)
    lines = []
    for (most, why, is_last), names in items.items():
        where = "last" if is_last else "first"
        whose = first_names(names) if len(items) > 1 else f"all {len(names)} items"
        lines.append(
            f'Most is "{most}", the {where} option, as {why} say{"s" * (why[:3] == "the")}'
            f" ({whose})."
        )
    return lines


def _people(group: dict[str, Any]) -> str:
    """How many people have a score and how many there are: "900 to 941 of 1,003"."""
    fewest, most = min(group["answered"].values()), max(group["answered"].values())
    if fewest == most == group["people"]:
        return f"{most:,}"
    scored = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"{scored} of {group['people']:,}"


def _map_table(found: dict[str, Any]) -> Any:
    from suffrage.plain_table import PlainTable

    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Cultural map")
    table.add_column("Secular-rational", justify="right")
    table.add_column("Self-expression", justify="right")
    for point in map_drawing(found)["points"]:
        table.add_row(point["name"], point["secular"], point["expression"])
    return table


# Half the side of a drawing, its middle with what stays free for names around it, and theory's
# ring, in the drawing's own units.
HALF = 150
ACROSS, DOWN = 270, 200
RING = 168


def write_scores_page(scores: dict[str, Any], title: str, path: Path) -> None:
    """The scores as one self-contained page, with the circle or the map where there is one."""
    groups = list(scores["value_sets"].items())
    lows = [g["mean"][v] - 1.96 * g["standard_error"][v] for _, g in groups for v in g["mean"]]
    highs = [g["mean"][v] + 1.96 * g["standard_error"][v] for _, g in groups for v in g["mean"]]
    centred = scores["scale"] == "centred"
    low, high = 0.0, 1.0
    if centred:
        low, high = min([*lows, 0.0]), max([*highs, 0.0])
    elif scores["scale"] == "steps":
        low, high = float(np.floor(min(lows))), float(np.ceil(max(highs)))
    width = high - low or 1.0

    def place(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / width, 2)

    rows = [
        {
            "name": word,
            "alpha": reliability(scores["alpha"][value]),
            "omega": reliability(scores["omega"][value]),
            "groups": [
                {
                    "name": name,
                    "tone": k % 6 + 1,
                    "value": _signed(group["mean"][value], centred),
                    "error": f"{group['standard_error'][value]:.3f}",
                    "at": place(group["mean"][value]),
                    "from": place(group["mean"][value] - 1.96 * group["standard_error"][value]),
                    "to": place(group["mean"][value] + 1.96 * group["standard_error"][value]),
                }
                for k, (name, group) in enumerate(groups)
            ],
        }
        for value, word in scores["values"].items()
    ]
    page = render_page(
        "values.html.j2",
        title=title,
        scores=scores,
        centred=centred,
        scale_words=scale_words(scores),
        directions=direction_lines(scores["directions"]),
        zero=place(0.0),
        ends=[_signed(low, centred), _signed(high, centred)],
        groups=[{"name": n, "tone": k % 6 + 1, "n": _people(g)} for k, (n, g) in enumerate(groups)],
        rows=rows,
        circle=circle_drawing(scores["circle"], scores["values"]) if scores["circle"] else None,
        map=map_drawing(scores["map"]) if scores["map"] else None,
        half=HALF,
        across=ACROSS,
        down=DOWN,
    )
    storage.write_page(path, page)


def circle_drawing(circle: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The circle's points in a drawing's units, and a ring of names in theory's directions."""
    points = np.array(circle["points"])
    reach = float(np.linalg.norm(points, axis=1).max()) or 1.0
    ring: dict[float, list[str]] = {}
    for value, degrees in zip(circle["values"], circle["theory"], strict=True):
        ring.setdefault(float(degrees) % 360, []).append(names[value])
    labels = []
    for degrees, words in ring.items():
        x, y = float(np.cos(np.deg2rad(degrees))), float(np.sin(np.deg2rad(degrees)))
        labels.append(
            {
                "name": ", ".join(words),
                "x": round(ACROSS + x * RING, 1),
                "y": round(DOWN - y * RING, 1),
                "text_x": round(ACROSS + x * (RING + 12), 1),
                "text_y": round(DOWN - y * (RING + 14) + 4, 1),
                "anchor": "middle" if abs(x) < 0.25 else "start" if x > 0 else "end",
            }
        )
    drawn = [
        {
            "name": names[value],
            "x": round(ACROSS + float(x) * HALF, 1),
            "y": round(DOWN - float(y) * HALF, 1),
            "theory_x": round(ACROSS + float(np.cos(np.deg2rad(degrees))) * RING, 1),
            "theory_y": round(DOWN - float(np.sin(np.deg2rad(degrees))) * RING, 1),
        }
        for value, (x, y), degrees in zip(
            circle["values"], points / reach, circle["theory"], strict=True
        )
    ]
    return {"points": drawn, "ring": labels, "radius": RING, "facts": circle_words(circle)}


def circle_words(circle: dict[str, Any]) -> str:
    """How well the values form the circle, in a sentence."""
    fits = circle["correspondence"] > 0 and circle["p_value"] <= 0.05
    return (
        f"{'Theory’s order shows' if fits else 'Theory’s order does not show'} in these answers: "
        f"correspondence {circle['correspondence']:.2f} (1 is every prediction, 0 is chance), as "
        f"good in {circle['p_value']:.1%} of random orders. Directions are "
        f"{circle['degrees_off']:.0f} degrees from theory’s on average; stress of the "
        f"drawing {circle['stress']:.2f}."
    )


def map_drawing(found: dict[str, Any]) -> dict[str, Any]:
    """Groups on the two axes in a drawing's units: across self-expression, up secular."""
    at = np.array(found["positions"])
    spread = 1.96 * np.array(found["errors"])
    reach = float(np.max(np.abs(at) + spread)) * 1.1 or 1.0
    unit = HALF / reach
    return {
        "reach": f"{reach:.1f}",
        "explained": [f"{share:.0%}" for share in found["explained"]],
        "points": [
            {
                "name": name,
                "tone": k % 6 + 1,
                "x": round(ACROSS + unit * float(at[k, 1]), 1),
                "y": round(DOWN - unit * float(at[k, 0]), 1),
                "rx": round(max(unit * float(spread[k, 1]), 2), 1),
                "ry": round(max(unit * float(spread[k, 0]), 2), 1),
                "secular": f"{at[k, 0]:+.2f} ± {found['errors'][k][0]:.2f}",
                "expression": f"{at[k, 1]:+.2f} ± {found['errors'][k][1]:.2f}",
            }
            for k, name in enumerate(found["groups"])
        ],
        "loadings": [
            {"name": name, "secular": f"{a:+.2f}", "expression": f"{b:+.2f}"}
            for name, (a, b) in zip(found["indicators"], found["loadings"], strict=True)
        ],
    }


def reliability(value: float) -> str:
    """A reliability for people: two digits, a dash where it is not defined."""
    return "–" if np.isnan(value) else f"{value:.2f}"


def _signed(value: float, signed: bool) -> str:
    return f"{value:+.2f}" if signed else f"{value:.2f}"
