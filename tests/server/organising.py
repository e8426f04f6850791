"""A consultation with staff of every role, and a client for its organisers' pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from fastapi.testclient import TestClient

from suffrage.server.demo import simulated_demo
from suffrage.server.store import consultations, staff, statements
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.contents import from_consultation
from suffrage.server.store.database import Store, open_store
from suffrage.server.watcher import recompute
from suffrage.server.web.app import create_app
from suffrage.server.web.server_settings import ServerSettings

PASSWORD = "a long password"
ROLES = ("owner", "moderator", "analyst", "viewer")
AGE = {
    "item": "age",
    "label": {"en": "Your age"},
    "options": [
        {"value": value, "label": {"en": value}} for value in ("16-34", "35-59", "60 and over")
    ],
}


@dataclass
class Office:
    """A served consultation, and its staff by role."""

    store: Store
    about: StoredConsultation
    app: Any
    members: dict[str, staff.Member] = field(default_factory=dict)

    def client(self, role: str | None) -> Visitor:
        visitor = Visitor(TestClient(self.app, follow_redirects=False), f"/admin/c/{self.about.id}")
        if role is not None:
            visitor.log_in(f"{role}@example.org")
        return visitor


@dataclass
class Visitor:
    http: TestClient
    base: str
    token: str = ""

    def get(self, path: str = "", status: int = 200) -> str:
        found = self.http.get(path if path.startswith("/admin") else f"{self.base}{path}")
        assert found.status_code == status, (path, found.status_code, found.text[:2000])
        if match := re.search(r'name="csrf" value="([^"]+)"', found.text):
            self.token = match.group(1)
        return found.text

    def post(self, path: str, status: int = 303, files: Any = None, **values: Any) -> Any:
        data = {"csrf": self.token, **{k.replace("__", ":"): v for k, v in values.items()}}
        url = path if path.startswith("/admin") else f"{self.base}{path}"
        found = self.http.post(url, data=data, files=files)
        assert found.status_code == status, (path, found.status_code, found.text[:3000])
        return found

    def log_in(self, email: str, password: str = PASSWORD) -> None:
        self.get("/admin/login")
        self.post("/admin/login", email=email, password=password)
        self.get("/admin")


def fill_office(where: str, people: int = 60) -> None:
    """Write a running consultation with groups, waiting statements and staff."""
    store = open_store(where, create=True)
    about = from_consultation(store, simulated_demo(people).content)
    consultations.set_settings(
        store,
        about.id,
        {
            "open_to_all": True,
            "organiser": "The council",
            "contact": "council@example.org",
            "demographics": [AGE],
            "targets": {"age": {"16-34": 0.3, "35-59": 0.4, "60 and over": 0.3}},
        },
        "test",
    )
    consultations.set_phase(store, about.id, "open", "test")
    for text in (
        "It should say when it does not know something.",
        "It should be able to sing.",
        "Call me on 021 123 4567 about the assistant.",
    ):
        statements.propose_statement(store, about.id, "p1", text, "en")
    statements.propose_statement(
        store, about.id, "p2", "It should answer in rhyme <script>alert(1)</script>", "en"
    )
    for role in ROLES:
        member = staff.add_member(store, f"{role}@example.org", PASSWORD, name=role.title())
        staff.set_role(store, about.id, member.id, role, "test")  # type: ignore[arg-type]
    recompute(store, about, resamples=3)
    store.close()


def open_office(where: str, **more: Any) -> Office:
    """Serve what `fill_office` wrote."""
    settings = ServerSettings(store=where, base_url="http://testserver", limits=None, **more)
    app = create_app(settings)
    store = app.state.store
    about = consultations.find_consultation(store, "demo")
    members = {role: member for member, role in staff.list_members(store, about.id)}
    return Office(store, about, app, members)
