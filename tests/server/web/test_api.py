"""The JSON API: what its description promises, and that nothing sent to it breaks it."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from suffrage.consult.pairing import POLICY
from suffrage.server.store import consultations, exposures, statements
from suffrage.server.store.driver import Driver
from suffrage.server.web.next_tasks import Drawing
from tests.server.site import Site, consultation, crowd, site

EXAMPLES = 6


@pytest.fixture
def here(tmp_path: Path) -> Site:
    made = site(tmp_path / "store")
    consultation(made.store)
    return made


@pytest.mark.slow
def test_a_whole_participation_by_the_api(here: Site) -> None:
    client = here.browser().client
    base = "/api/v1/c/water"
    about = client.get(base).json()
    assert about["phase"] == "open" and about["demographics"][0]["item"] == "age"
    made = client.post(f"{base}/session", json={"language": "mi"})
    assert made.status_code == 201
    client.headers["Authorization"] = f"Bearer {made.json()['session']}"
    assert client.get(f"{base}/next").json()["error"]["reason"] == "consent"
    scopes = {"take_part": True, "publish_votes": True}
    assert client.post(f"{base}/consent", json=scopes).status_code == 204
    assert client.put(f"{base}/demographics", json={"age": "40+"}).status_code == 204
    assert client.put(f"{base}/demographics", json={"age": "old"}).status_code == 409
    seen = set()
    for _ in range(12):
        shown = client.get(f"{base}/next").json()
        again = client.get(f"{base}/next").json()
        assert shown == again and shown["statement"]["language"] == "en"
        id = shown["statement"]["id"]
        done = client.put(f"{base}/votes/{id}", json={"vote": 1, "exposure": shown["exposure"]})
        assert done.json()["new"] and id not in seen
        seen.add(id)
    assert client.get(f"{base}/next").json()["exposure"] is None
    near = client.post(
        f"{base}/statements", json={"text": "An assistant should follow rule amber about waters"}
    ).json()
    assert near["id"] is None and near["near"][0]["id"] in seen
    new = client.post(f"{base}/statements", json={"text": "Ask before you tell"}).json()
    assert new["state"] == "pending"
    pair = client.get(f"{base}/next?kind=comparison").json()
    assert pair["left"]["id"] != pair["right"]["id"] and "model" not in pair["left"]
    answered = {"exposure": pair["exposure"], "outcome": "both_bad", "confidence": 3}
    assert client.post(f"{base}/comparisons", json=answered).json()["new"]
    single = client.get(f"{base}/next?kind=reaction").json()
    liked = {"value": -1, "exposure": single["exposure"]}
    assert client.put(f"{base}/reactions/{single['answer']['id']}", json=liked).json()["new"]
    me = client.get(f"{base}/me").json()
    assert len(me["votes"]) == 12 and me["about_you"] == {"age": "40+"}
    assert client.get(f"{base}/results").json()["why_not"] == "people"
    assert re.fullmatch(r"\d+:[0-9a-f]{16}", client.delete(f"{base}/me").json()["receipt"])
    assert client.get(f"{base}/me").status_code == 401


@pytest.mark.slow
def test_sides_of_pairs_are_drawn_evenly_and_stored(here: Site) -> None:

    what = consultations.find_consultation(here.store, "water")
    for person in crowd(here.store, what, 60):
        here.app.state.drawing.next_pair(what, person)
    shown = exposures.list_exposures(here.store, what.id, kind="comparison")
    left = [str(e.left_id)[-1] for e in shown]
    assert 15 <= left.count("x") <= 45 and len(shown) == 60
    assert {e.policy for e in shown} == {POLICY}
    # Of two pairs one is the common core, drawn in half of all draws and its part of the other
    # half.
    by_core = {e.core: e.probability for e in shown}
    assert by_core[True] == pytest.approx(0.75) and by_core[False] == pytest.approx(0.25)


@pytest.mark.slow
def test_every_statement_keeps_a_part_of_the_draw_and_probabilities_are_logged(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    ids = crowd(here.store, what, 40)
    new = statements.add_seeds(here.store, what.id, [("A new thought", "en")], "tests")[0]
    drawing = Drawing(here.store, seed=1)
    with here.store.write() as c:
        drawn = [drawing.next_statement(Driver(c), what, id) for id in ids[:10]]
    assert {d[1].id for d in drawn if d} == {new.id}  # the only one they have not voted on
    visitor = here.browser().join()
    visitor.get("/c/water/vote")
    (shown,) = [
        e for e in exposures.list_exposures(here.store, what.id, kind="vote") if e.probability != 1
    ]
    assert shown.probability is not None and shown.probability >= 0.2 / 13


@pytest.mark.slow
def test_nothing_sent_to_the_api_makes_it_fail(here: Site) -> None:
    # Loaded here: it takes as long as many of the quick tests.
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error

    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", here.app)
    client = here.browser().client
    made = client.post("/api/v1/c/water/session", json={}).json()
    bearer = {"Authorization": f"Bearer {made['session']}"}
    client.post("/api/v1/c/water/consent", json={"take_part": True}, headers=bearer)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 13
    held = 0
    # Consent last: it is taken back among the rest.
    for operation in sorted(operations, key=lambda o: "consent" in o.path):
        if operation.method.upper() == "DELETE":
            continue  # it would end the session; tested by itself
        fixed = {"path_parameters": {"slug": "water"}, "headers": bearer}
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:

            @given(case=operation.as_strategy(mode, **fixed))
            @settings(
                max_examples=EXAMPLES,
                phases=[Phase.generate],
                derandomize=True,
                suppress_health_check=list(HealthCheck),
                deadline=None,
            )
            def holds(case: schemathesis.Case) -> None:
                case.call_and_validate(checks=[not_a_server_error])

            try:
                holds()
                held += 1
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE  # nothing in it that could be wrong
    assert held >= 20
