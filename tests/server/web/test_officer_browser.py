"""An officer without a manual runs a consultation in a browser, from nothing to a release."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suffrage.server.store import consultations, staff, statements
from suffrage.server.watcher import recompute
from tests.server.browser import served, visitor
from tests.server.forms import Forms
from tests.server.organising import PASSWORD
from tests.server.page_copies import Inspector
from tests.server.site import crowd, site

STATEMENTS = [f"Our parks need {what}." for what in (
    "more trees", "fewer dogs", "more benches", "better paths", "a playground", "lights at night",
    "clean toilets", "less concrete", "a market", "quiet corners", "bird boxes", "a pond",
)]  # fmt: skip


@pytest.fixture
def town(tmp_path: Path) -> Iterator[tuple[Any, str]]:
    """A server without any consultation, and one member of staff."""
    made = site(tmp_path / "store")
    staff.add_member(made.store, "officer@example.org", PASSWORD, name="Officer")
    with served(made.app) as url:
        # People come by the address of the test.
        object.__setattr__(made.app.state.settings, "base_url", url)
        yield made, url


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_an_officer_runs_a_consultation_by_the_browser_alone(
    town: tuple[Any, str], chromium: Any, scripts: bool
) -> None:
    made, url = town
    theme = "dark" if scripts else "light"
    page = visitor(chromium, url, java_script_enabled=scripts, color_scheme=theme)
    page.set_default_timeout(120_000)
    # The same style sheet has the same colours without scripts.
    inspector, forms = Inspector(page, "en", contrast=scripts), Forms(page)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))

    def fits(name: str) -> None:
        """The page is among those that are looked at in the end."""
        inspector.look(f"officer-{name}-{'scripts' if scripts else 'plain'}")

    def press(name: str, within: Any = page) -> None:
        forms.press(within.get_by_role("button", name=name, exact=True).first)

    def go(section: str) -> None:
        page.locator(".sections").get_by_role("link", name=section, exact=True).click()

    def part(title: str) -> None:
        go("Settings")
        page.locator(".parts").get_by_role("link", name=title, exact=True).click()

    # Log in, and make one from five answers. A typo keeps what was typed.
    page.goto("/admin/login")
    page.get_by_label("Email address").fill("officer@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    press("Sign in")
    page.get_by_role("link", name="Start a consultation").click()
    page.get_by_label("Title").fill("Our parks")
    page.get_by_label("Who asks").fill("The town")
    page.get_by_label("Contact").fill("parks@example.org")
    page.get_by_label("Anyone who has the address").check()
    page.get_by_label("First statements").fill("\n".join(STATEMENTS))
    press("Make the draft")
    assert page.title().startswith("Error:")
    assert page.get_by_label("Title").input_value() == "Our parks"
    assert page.get_by_label("Anyone who has the address").is_checked()
    fits("new")
    page.locator("#problems a").click()
    page.get_by_label("Question", exact=True).fill("What should our parks be like?")
    press("Make the draft")
    (about,) = consultations.list_consultations(made.store)
    assert "draft is ready" in page.inner_text(".done")
    assert page.locator(".todo .missing").count() == 0
    fits("settings")

    # Fill it: texts, who takes part, a question about people, a colour, the other language.
    part("Title and texts")
    page.locator("#intro-en").fill("The council decides in May.")
    fits("texts")
    press("Save")
    part("How people take part")
    page.get_by_label("Votes of their own before people see results").fill("many")
    press("Save")
    problem = page.locator("#least_votes-problem")
    assert "whole number" in problem.inner_text()
    assert page.get_by_label("Votes of their own").input_value() == "many"
    page.get_by_label("Votes of their own").fill("3")
    page.get_by_label("At once, unless it may contain personal details").check()
    press("Save")
    fits("taking-part")
    assert consultations.list_consultations(made.store)[0].settings.moderation == "after"
    page.get_by_label("After one of you has accepted it").check()
    press("Save")
    part("Questions about people")
    press("Age")
    page.locator("#share-0-0").fill("30")
    press("Save")
    assert "every choice its share" in page.inner_text("#problems")
    page.locator("#share-0-0").fill("")
    press("Save")
    fits("people")
    part("Logo and colour")
    page.get_by_label("Colour").fill("#7a1f5c")
    press("Save")
    part("Dates")
    page.get_by_label("Time zone").select_option("Pacific/Auckland")
    page.get_by_label("Closes").fill("2099-12-01T17:00")
    press("Save")
    fits("dates")
    part("Languages")
    page.get_by_label(re.compile("Te reo")).check()
    press("Save")
    page.get_by_role("link", name="Translate statements").click()
    page.get_by_label("Translation").first.fill("Kia maha ake ngā rākau.")
    press("Save")
    fits("translations")

    # Invite: links are a file; the preview shows what people will see.
    go("Invitations")
    page.get_by_label("How many", exact=True).fill("2")
    links = page.get_by_role("button", name="Download the links")
    with forms.goes_out(links), page.expect_download() as download:
        links.click()
    link = Path(download.value.path()).read_text().splitlines()[1].split(",")[1]
    page.reload()
    fits("invitations")
    press("Revoke")
    assert "no longer works" in page.inner_text(".done")
    part("Preview")
    assert "The council decides in May." in page.inner_text("main")
    fits("preview")
    page.get_by_role("link", name="Back to the settings").click()

    # Open it, and take part in another browser.
    page.get_by_label("Open: people can take part").check()
    press("Change the status")
    assert page.inner_text(".phase") == "open"
    person = visitor(chromium, url, java_script_enabled=scripts)
    person.goto(link.removeprefix(url))
    people = crowd(made.store, about, 40)
    statements.propose_statement(made.store, about.id, people[0], "Swans.", "en")
    recompute(made.store, about, resamples=3)

    # Moderate, look at the groups, keep principles.
    go("Statements")
    fits("queue")
    press("Accept", page.locator("article", has_text="Swans."))
    assert "1 statement accepted." in page.inner_text(".done")
    go("Groups")
    assert page.locator("svg.plane").count() == 1
    with made.store.write() as c:
        from sqlalchemy import update

        from suffrage.server.store.database_schema import participant

        everything = dict.fromkeys(("consent_votes", "consent_texts", "consent_training"), True)
        c.execute(update(participant).values(**everything))
    go("Principles")
    press("Find principles in the votes")
    fits("principles-found")
    press("Keep those you ticked")
    assert page.locator("li.card").count() >= 1

    # Close it, and publish: the card is read before the release is made.
    go("Settings")
    page.get_by_label("Closed: nobody can take part any more").check()
    press("Change the status")
    go("Releases")
    page.get_by_label("Why you asked").fill("To plan the parks.")
    fits("releases")
    press("See it before you make it")
    assert "To plan the parks." in page.inner_text(".card-text")
    fits("release-preview")
    press("Make the release")
    assert "tick this box" in page.inner_text("#problems").lower()
    page.locator("#make-sure").check()
    press("Make the release")
    assert page.inner_text(".done") == "The release is made."
    with page.expect_download() as download:
        page.get_by_role("link", name="Download release 1").click()
    assert Path(download.value.path()).stat().st_size > 1000
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all tables").click()
    assert Path(download.value.path()).stat().st_size > 1000
    go("Audit log")
    shown = page.inner_text("main")
    for words in ("Made the consultation", "Changed the status", "Made a release", "Officer"):
        assert words in shown
    fits("audit")
    assert failed == []
    assert inspector.found() == ""
    page.context.close()
    person.context.close()
