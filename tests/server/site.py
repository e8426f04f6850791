"""A server within the test, and people with browsers who use its pages."""

import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from sqlalchemy import insert
from starlette.testclient import TestClient

from suffrage.server.demo import simulated_demo
from suffrage.server.store import consultations, staff, statements
from suffrage.server.store import database_schema as schema
from suffrage.server.store import shown_answers as answers
from suffrage.server.store.consultations import ConsultationSettings, StoredConsultation
from suffrage.server.store.contents import from_consultation
from suffrage.server.store.database import Store
from suffrage.server.store.secret_keys import new_id
from suffrage.server.web.app import create_app
from suffrage.server.web.server_settings import ServerSettings
from tests.server.empty_stores import empty_store

BASE = "http://consult.test"
PASSWORD = "correct horse battery"
AGE: dict[str, Any] = {
    "item": "age",
    "label": {"en": "How old are you?", "mi": "E hia ō tau?"},
    "options": [
        {"value": "18-39", "label": {"en": "18 to 39"}},
        {"value": "40+", "label": {"en": "40 or older"}},
    ],
}
SETTINGS: dict[str, Any] = {
    "open_to_all": True,
    "languages": ["en", "mi"],
    "demographics": [AGE],
    "organiser": "The council",
    "contact": "council@example.org",
}


def consultation(
    store: Store, slug: str = "water", count: int = 12, **settings: Any
) -> StoredConsultation:
    """An open consultation with statements and two prompts of two answers."""
    made = consultations.create_consultation(
        store,
        slug,
        {"en": f"Talking about {slug}"},
        {"en": "How should an assistant talk about it?"},
        ConsultationSettings.model_validate({**SETTINGS, **settings}),
    )
    consultations.set_phase(store, made.id, "open", "tests")
    texts = [
        (f"An assistant should follow rule {_word(n)} about {slug}.", "en") for n in range(count)
    ]
    statements.add_seeds(store, made.id, texts, "tests")
    prompts = [answers.ShownPrompt(f"p{n}", f"Question {n}?", "en") for n in (1, 2)]
    given = [
        answers.ShownAnswer(f"a{n}{side}", f"p{n}", f"Answer {n}{side}.", f"model-{side}", "en")
        for n in (1, 2)
        for side in "xy"
    ]
    answers.put_prompts(store, made.id, prompts, given, "tests")
    return consultations.find_consultation(store, slug)


def open_demo(store: Store, people: int) -> StoredConsultation:
    """The demonstration's consultation, open to all, with this many made-up people."""
    about = from_consultation(store, simulated_demo(people).content)
    settings = {"open_to_all": True, "organiser": "The council", "contact": "council@example.org"}
    consultations.set_settings(store, about.id, settings, "test")
    consultations.set_phase(store, about.id, "open", "test")
    return consultations.find_consultation(store, about.slug)


def crowd(
    store: Store, what: StoredConsultation, people: int = 30, seed: int = 0, turned: bool = False
) -> list[str]:
    """People of two kinds who vote as their kind does, straight into the store.

    turned: the kind that is a third of them otherwise is two thirds.
    """
    generator = np.random.default_rng(seed)
    shown = [s.id for s in statements.list_statements(store, what.id, ["accepted"])]
    ids = [new_id() for _ in range(people)]
    of = {"consultation_id": what.id}
    votes = [
        {**of, "participant_id": id, "statement_id": statement, "position": at, "updated": 0}
        | {"value": kind if generator.random() < 0.9 else -kind}
        for n, id in enumerate(ids)
        for at, statement in enumerate(shown)
        for kind in [1 if at < 2 or (n % 3 == 0) == (at % 2 == turned) else -1]
    ]
    person = {"verified": False, "language": "en", "created": 0, "takes_part": True}
    # In one transaction: a commit a vote would take most of the tests' time.
    with store.write() as c:
        c.execute(insert(schema.participant), [{**of, **person, "id": id} for id in ids])
        c.execute(insert(schema.vote), votes)
    return ids


@dataclass
class Site:
    """The application and its store."""

    app: FastAPI
    store: Store
    browsers: list[TestClient] = field(default_factory=list)

    def browser(self, ip: str = "192.0.2.1") -> "Browser":
        """A new visitor without any cookie."""
        client = TestClient(
            self.app, base_url=BASE, client=(ip, 5000), raise_server_exceptions=False
        )
        return Browser(client)

    def staff(
        self, what: StoredConsultation, role: staff.Role, email: str = "ana@example.org"
    ) -> staff.Member:
        """A member of staff with a role."""
        member = staff.member_of_email(self.store, email) or staff.add_member(
            self.store, email, PASSWORD
        )
        staff.set_role(self.store, what.id, member.id, role, "tests")
        return member


def site(folder: Path, **settings: Any) -> Site:
    """An empty server."""
    empty_store(folder).close()
    return site_of(folder, **settings)


def site_of(folder: Path | str, **settings: Any) -> Site:
    """A server of a store that is there: a folder, or an address of PostgreSQL."""
    settings.setdefault("limits", None)
    app = create_app(ServerSettings(str(folder), base_url=BASE, seed=1, **settings))
    return Site(app, app.state.store)


@dataclass
class Browser:
    """Loads pages and sends their forms as they stand."""

    client: TestClient
    page: httpx.Response | None = None

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Load a page."""
        self.page = self.client.get(path, **options)
        return self.page

    @property
    def hidden(self) -> dict[str, str]:
        """Hidden fields of the page's first form."""
        assert self.page is not None
        form = re.search(r"<form.*?</form>", self.page.text, re.S)
        assert form, self.page.text
        found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form.group())
        return {name: unescape(value) for name, value in found}

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """Send the page's form with these fields, and follow where it leads."""
        self.page = self.client.post(path, data={**self.hidden, **fields})
        return self.page

    def join(self, slug: str = "water", token: str = "", consent: bool = True) -> "Browser":
        """Join, and consent to everything."""
        self.get(f"/c/{slug}/join" + (f"?t={token}" if token else ""))
        self.send(f"/c/{slug}/join")
        if consent:
            every = dict.fromkeys(("take_part", "votes", "texts", "training"), "yes")
            self.send(f"/c/{slug}/consent", **every)
        return self

    def vote(self, value: str = "agree", slug: str = "water") -> httpx.Response:
        """Vote on whatever comes next."""
        self.get(f"/c/{slug}/vote")
        return self.send(f"/c/{slug}/vote", vote=value)

    def log_in(self, email: str = "ana@example.org", password: str = PASSWORD) -> httpx.Response:
        """Log in as staff."""
        self.get("/admin/login")
        return self.send("/admin/login", email=email, password=password)


def _word(n: int) -> str:
    words = [
        "amber",
        "bronze",
        "coral",
        "denim",
        "ebony",
        "fawn",
        "green",
        "hazel",
        "ivory",
        "jade",
        "khaki",
        "lilac",
        "mauve",
        "navy",
    ]
    return words[n % len(words)] + ("" if n < len(words) else f" {n}")
