"""What participants are shown next, drawn from a store."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from suffrage.consult.pairing import POLICY
from suffrage.server.store import participants, stored_judgements
from suffrage.server.store.contents import to_consultation
from suffrage.server.web.next_tasks import Drawing
from tests.server.empty_stores import empty_store
from tests.server.site import open_demo


@pytest.mark.slow
def test_a_served_consultation_draws_by_the_design_and_logs_it(tmp_path: Path) -> None:
    store = empty_store(tmp_path / "store")
    drawing, about = Drawing(store, seed=1), open_demo(store, 20)
    seen = []
    for _ in range(3):
        person = participants.join_consultation(store, about.id, None, "en").participant
        participants.give_consent(store, about.id, person.id, participants.Scopes(True), "text")
        mine = []
        for _ in range(10):
            found = drawing.next_pair(about, person.id)
            assert found is not None
            exposure, prompt, left, right = found
            assert left.prompt_id == right.prompt_id == prompt.id
            again = drawing.next_pair(about, person.id)
            assert again is not None and again[0].id == exposure.id  # the same until answered
            stored_judgements.record_comparison(store, about.id, person.id, exposure.id, "tie")
            mine.append(exposure)
        kinds = Counter(e.attention for e in mine)
        assert kinds["repeat"] == 1 and kinds["instructed"] == 1
        fresh = {frozenset((e.left_id, e.right_id)) for e in mine if e.attention != "repeat"}
        assert len(fresh) == 9
        seen += mine
    assert {e.policy for e in seen} == {POLICY} and any(e.core for e in seen)
    assert all(0 < (e.probability or 0) <= 1 for e in seen)
    content = to_consultation(store, "demo").comparisons
    assert content.filter(pl.col("check") == "instructed")["outcome"].unique().to_list()
    store.close()
