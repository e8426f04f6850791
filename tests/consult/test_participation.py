"""Who takes part, compared with the population."""

import polars as pl

from suffrage.consult.participation import Stratum, participation


def test_participation_by_hand() -> None:
    people = pl.DataFrame(
        [(f"p{i}", "age", "old" if i < 6 else "young") for i in range(10)]
        + [("p1", "place", "town")],
        schema=["participant", "item", "value"],
        orient="row",
    )
    found = participation(people, {"age": {"young": 60, "old": 30, "child": 10}})
    assert found == [
        Stratum("age", "young", 4, 0.4, 0.6, 2),
        Stratum("age", "old", 6, 0.6, 0.3, 0),
        Stratum("age", "child", 0, 0.0, 0.1, 1),
        Stratum("place", "town", None, None, None, None),  # one person: not told
    ]
    empty = participation(people[:0], {"age": {"young": 1}}, {"age": ("young", "old")})
    assert [(row.value, row.count, row.share) for row in empty] == [
        ("young", 0, None),
        ("old", 0, None),
    ]
