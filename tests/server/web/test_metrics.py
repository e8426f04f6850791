"""What /metrics says is so, is Prometheus' format, and is for whoever has the token alone."""

import re
from pathlib import Path

import pytest

from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.server.store import consultations
from suffrage.server.watcher import recompute
from suffrage.server.web.metrics import BUCKETS, TOKEN, Metrics
from tests.server.site import Browser, Site, consultation, crowd, site

SECRET = {"Authorization": "Bearer a token for scrapers"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv(TOKEN, "a token for scrapers")
    made = site(tmp_path / "store")
    consultation(made.store)
    return made


def told(browser: Browser) -> dict[str, float]:
    text = browser.get("/metrics", headers=SECRET).text
    assert text.endswith("\n")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+', x) for x in lines)
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


@pytest.mark.slow
def test_votes_requests_and_times_are_counted(here: Site) -> None:
    visitor = here.browser().join()
    for value in ("agree", "disagree", "pass"):
        visitor.vote(value)
    form = {**visitor.hidden, "vote": "agree"}
    for _ in range(2):  # the second changes nothing
        visitor.client.post("/c/water/vote", data=form)
    found = told(here.browser())
    assert found["suffrage_votes_total"] == 4
    assert found['suffrage_requests_total{part="pages",method="POST",status="303"}'] == 7
    buckets = [
        found[f'suffrage_request_seconds_bucket{{part="pages",le="{bound}"}}']
        for bound in (*BUCKETS, "+Inf")
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found['suffrage_request_seconds_count{part="pages"}'] >= 14
    assert found['suffrage_request_seconds_sum{part="pages"}'] > 0
    assert found["suffrage_committed_acts_total"] >= found["suffrage_commits_total"] >= 9


@pytest.mark.slow
def test_times_of_finding_groups_are_told(here: Site) -> None:
    what = consultations.find_consultation(here.store, "water")
    crowd(here.store, what, 30)
    recompute(here.store, what, GroupSettings(most=2), resamples=2)
    found = told(here.browser())
    assert found['suffrage_groups_seconds{consultation="water"}'] > 0
    assert 0 <= found['suffrage_groups_age_seconds{consultation="water"}'] < 60


def test_a_time_falls_in_the_bucket_whose_bound_it_does_not_pass() -> None:
    counted = Metrics()
    for seconds in (0.2, 0.2001, 99):
        counted.observe("GET", "/c/water", 200, seconds)
    rows = dict(counted._histogram("pages"))
    by_bound = {key.split('le="')[1][:-2]: n for key, n in rows.items() if "le=" in key}
    assert [by_bound[bound] for bound in ("0.1", "0.2", "0.5", "5.0", "+Inf")] == [0, 1, 2, 2, 3]


def test_nobody_without_the_token_learns_that_it_is_there(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.staff(consultations.find_consultation(here.store, "water"), "owner")
    visitor = here.browser()
    visitor.log_in()
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}):
        assert visitor.get("/metrics", headers=headers).status_code == 404
    monkeypatch.delenv(TOKEN)
    for headers in (SECRET, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
        assert visitor.get("/metrics", headers=headers).status_code == 404
