"""Every text of every page goes through the catalogues, and every catalogue fits the pages."""

import ast
import re
import shutil
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from suffrage.errors import InputError
from suffrage.server import web
from suffrage.server.store import consultations
from suffrage.server.watcher import recompute
from suffrage.server.web.consent import consent_text
from suffrage.server.web.languages import languages
from tests.server.organising import Office, Visitor, open_office
from tests.server.site import consultation, crowd, site
from tests.server.web.test_organise import PAGES, release_form

WEB = Path(web.__file__).parent
PACKAGE = WEB.parents[1]
LOCALES = WEB / "locale"
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
CATALOGUES = sorted(LOCALES.glob("*/LC_MESSAGES/messages.po"))
PLACE = re.compile(r"%\(\w+\)[sd]")
LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "αвςδεƒɡнιјκłмησρԛяѕτυνωхуζАВСДЕҒҨНІЈКЛМИОРԚЯЅТЦѴШХУЗ",
)


def forms(text: Any) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, (tuple, list)) else (text,)


def extracted(folder: str) -> list[Any]:
    """The texts of a folder of the package, as babel finds them."""
    with (LOCALES / "texts.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    from babel.messages.extract import DEFAULT_KEYWORDS

    keywords = {**DEFAULT_KEYWORDS, "InputError": None}
    return list(extract_from_dir(str(PACKAGE / folder), methods, options, keywords))


def collected() -> dict[Any, Any]:
    # The two folders that scripts/translations names.
    return {m[2]: m for folder in ("server", "consult") for m in extracted(folder) if m[2]}


@cache
def texts_to_translate() -> frozenset[Any]:
    """The texts of the template that catalogues are made from."""
    with (LOCALES / "messages.pot").open("rb") as file:
        return frozenset(m.id for m in read_po(file) if m.id)


@pytest.mark.slow
def test_the_texts_collected_are_those_of_the_pages() -> None:
    assert set(collected()) == texts_to_translate(), "run scripts/translations"


@cache
def of_participants() -> frozenset[Any]:
    """The texts of the pages for participants, and of mails to them."""
    pages = ("admin", "staff", "login", "account", "set_password")
    staff = ("web/organise", "web/staff_pages", *(f"web/templates/{page}" for page in pages))
    found = extracted("server")
    pages_of_people = (m for m in found if m[0].startswith("web/") and not m[0].startswith(staff))
    return frozenset(m[2] for m in pages_of_people if m[2])


@pytest.mark.slow
@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_catalogue_has_every_text_with_its_places_and_is_compiled(path: Path) -> None:
    wanted = texts_to_translate()
    catalogue = read_po(path.open("rb"), locale=path.parts[-3])
    assert {m.id for m in catalogue if m.id} == wanted
    assert [(m.id, error) for m, errors in catalogue.check() for error in errors] == []
    said_so = [m for m in catalogue if m.id and not m.fuzzy and all(forms(m.string))]
    if languages()[path.parts[-3]].for_participants_only:
        public = of_participants()
        assert public - {m.id for m in said_so} == set()
    else:
        assert {m.id for m in said_so} == wanted
    for message in said_so:
        told, said = forms(message.id), forms(message.string)
        for at, text in enumerate(said):
            places = sorted(PLACE.findall(told[min(at, len(told) - 1)]))
            assert sorted(PLACE.findall(text)) == places, message.id
            assert "<" not in text, message.id
            assert text == text.strip(), message.id
    compiled = read_mo(path.with_suffix(".mo").open("rb"))
    read = {forms(m.id): forms(m.string) for m in compiled if m.id}
    for message in said_so:
        assert read[forms(message.id)] == forms(message.string)


def test_plural_forms_follow_the_language() -> None:
    # The six forms of Arabic by Unicode's plural rules, and the two of Spanish.
    told = "It takes about %(num)s minute.", "It takes about %(num)s minutes."
    arabic = [languages()["ar"].translations.ngettext(*told, n) for n in (0, 1, 2, 3, 11, 100)]
    assert len(set(arabic[:5])) == 5 and arabic[4] == arabic[5]
    spanish = [languages()["es"].translations.ngettext(*told, n) for n in (1, 2, 11)]
    assert len(set(spanish)) == 2 and spanish[1] == spanish[2]
    assert languages()["ar"].direction == "rtl" and languages()["ar"].draft


def test_organisers_are_offered_only_languages_that_have_their_pages() -> None:
    everything = languages().values()
    assert {one.code for one in everything if one.for_participants_only} == {"ar", "es"}


def syllables(word: str) -> int:
    """As text checkers count them: groups of vowels, a silent e at the end not counted."""
    word = re.sub(r"[^a-z]", "", word.lower())
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = re.search(r"[^aeiouyl]e$|[^aeiouytd]ed$|[^aeiouysxzcgh]es$", word)
    return max(1, groups - bool(silent))


def reading_grade(text: str) -> float:
    """Flesch and Kincaid's grade, as the United States' schools count them."""
    sentences = [s for s in re.split(r"[.!?:]+(?:\s|$)", text) if s.strip()]
    words = re.findall(r"[A-Za-z'’-]+", text)
    spoken = sum(map(syllables, words))
    return 0.39 * len(words) / len(sentences) + 11.8 * spoken / len(words) - 15.59


def test_the_grade_is_that_of_flesch_and_kincaid() -> None:
    for word, count in (
        ("cat", 1), ("table", 2), ("publish", 2), ("address", 2), ("voted", 2),
        ("asked", 1), ("training", 2), ("consultation", 4), ("licence", 2), ("agree", 2),
    ):  # fmt: skip
        assert syllables(word) == count, word
    # 6 words and 6 syllables: 0.39 * 6 + 11.8 - 15.59.
    assert reading_grade("The cat sat on the mat.") == pytest.approx(-1.45)
    assert reading_grade("Participation in this consultation is voluntary.") > 12


def test_consent_can_be_read_by_a_child_of_eleven() -> None:
    what = consultations.StoredConsultation(
        "id", "water", {"en": "Water"}, {"en": "How?"}, "open",
        consultations.ConsultationSettings(organiser="The town", contact="town@example.org"),
        0, None, None,
    )  # fmt: skip
    text = consent_text(what, languages()["en"])
    whole = " ".join((*text.paragraphs[:-1], *text.scopes.values()))
    assert reading_grade(whole) <= 6
    for paragraph in (*text.paragraphs[:-1], *text.scopes.values()):
        assert reading_grade(paragraph) <= 9, paragraph


def test_te_reo_is_written_with_its_own_letters() -> None:
    # No letter that the language has not, but in names and placeholders: such a one is a slip.
    path = LOCALES / "mi" / "LC_MESSAGES" / "messages.po"
    borrowed = {
        "hash", "json", "csv", "yaml", "utf-8", "javascript", "prompt", "text", "model",
        "silhouette", "adjusted", "rand", "index", "suffrage", "consult", "answers",
        "statement", "its", "words", "s1",
        "prompt_id", "draft",
        "minutes", "gjjt-5vpn-h7sg", "language", "such", "s", "png", "jpeg", "webp", "kb", "zip",
        "polis", "cc", "cc-by-4", "https", "example",
    }  # fmt: skip
    slips = []
    for message in read_po(path.open("rb"), locale="mi"):
        if message.id and not str(message.id).startswith("translation s"):
            for text in forms(message.string):
                for word in re.findall(r"[^\W\d_]+(?:[_-]\w+)*", PLACE.sub(" ", text).lower()):
                    if word not in borrowed and re.search(r"[^aeiouāēīōūhkmnprtwg]", word):
                        slips.append((word, text))
    assert slips == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: str(p.relative_to(WEB / "templates")))
def test_no_text_of_a_template_is_left_outside_the_catalogues(path: Path) -> None:
    source = path.read_text()
    environment = Environment(extensions=["jinja2.ext.i18n"])
    # What stands between the marks, as the browser would read it.
    plain = "".join(
        value if kind == "data" else " " if kind.endswith("_end") else ""
        for _, kind, value in environment.lex(re.sub(r"{% trans.*?endtrans %}", "", source))
    )
    assert visible(plain) == []
    left = []
    for output in environment.parse(source).find_all((nodes.Output, nodes.For, nodes.Assign)):
        said = [node for call in output.find_all(nodes.Call) for node in gettext_texts(call)]
        for const in output.find_all(nodes.Const):
            if isinstance(const.value, str) and not any(const is one for one in said):
                left += re.findall(r"^[A-Z][a-z]+\b.*|^.*[a-z] [a-z].*$", const.value)
    assert left == []


def gettext_texts(call: nodes.Call) -> list[nodes.Node]:
    known = {"_", "gettext", "ngettext"}
    if isinstance(call.node, nodes.Name) and call.node.name in known:
        return list(call.args)
    return []


def test_words_marked_with_a_language_have_its_direction() -> None:
    # Without it, the full stop of an English sentence in an Arabic page comes first.
    marked = re.compile(r'<[a-z0-9]+ [^>]*\blang="\{\{[^>]*>')
    for path in TEMPLATES:
        for tag in marked.findall(path.read_text()):
            assert " dir=" in tag, (path.name, tag)


def test_what_organisers_are_told_of_mistakes_can_be_said_in_another_language() -> None:
    for path in (WEB / "organise").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "InputError"
                and not isinstance(node.args[0], (ast.Constant, ast.Name))
            ):
                assert ast.unparse(node) == "InputError(str(error))", (path.name, node.lineno)
    error = InputError("the password must have %(least)s characters or more.", least=12)
    assert str(error) == "the password must have 12 characters or more."
    assert languages()["mi"].told(error) == ("Me 12 ngā pū o te kupuhipa, neke atu rānei.", "mi")
    assert languages()["mi"].told(InputError("50% of nothing.")) == ("50% of nothing.", "en")


class Reader(HTMLParser):
    """Collects what a page says in Latin letters, but for what people wrote and for code."""

    VOID = ("meta", "link", "input", "br", "img", "circle", "polygon")
    TOLD = ("aria-label", "title", "alt", "placeholder")

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[bool] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        had = dict(attrs)
        own = tag in ("code", "kbd", "script", "style", "textarea") or (
            tag != "html" and (had.get("dir") == "auto" or "lang" in had or "translate" in had)
        )
        if tag not in self.VOID:
            self.stack.append(own or (bool(self.stack) and self.stack[-1]))
        if not (own or (self.stack and self.stack[-1])):
            for name in self.TOLD:
                self.look(had.get(name) or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and self.stack:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not (self.stack and self.stack[-1]):
            self.look(data)

    def look(self, text: str) -> None:
        for known in (
            r"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC",
            r"\b[0-9a-f]{6}\b",
            r"\b[A-E]\b",
            r"/c/[\w-]*",
            r"\bSuffrage\b|\bSHA-256\b",
        ):
            text = re.sub(known, "", text)
        if re.search(r"[A-Za-z]", text):
            self.found.append(text.strip())


def body(page: str) -> str:
    return re.split("<body[^>]*>", page)[1]


def visible(html: str) -> list[str]:
    reader = Reader()
    reader.feed(html)
    return reader.found


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a language whose every letter is another, so that what is not in it shows."""
    catalogue = Catalog(locale="en")
    for message in read_po((LOCALES / "messages.pot").open("rb")):
        if message.id:
            said = tuple(
                "".join(
                    part if PLACE.fullmatch(part) else part.translate(LETTERS)
                    for part in re.split(rf"({PLACE.pattern})", text)
                )
                for text in forms(message.id)
            )
            plural = isinstance(message.id, (tuple, list))
            catalogue.add(message.id, said if plural else said[0])
    folder = tmp_path_factory.mktemp("locales")
    (folder / "zz" / "LC_MESSAGES").mkdir(parents=True)
    with (folder / "zz" / "LC_MESSAGES" / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    return folder


@pytest.fixture(scope="module")
def office(
    filled_office: Path, tmp_path_factory: pytest.TempPathFactory, strange: Path
) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("strange") / "store"
    shutil.copytree(filled_office, folder)
    office = open_office(str(folder), locales=strange)
    yield office
    office.store.close()


def left_over(visitor: Visitor, path: str, status: int = 200) -> list[str]:
    page = visitor.get(path, status)
    assert '<html lang="zz"' in page
    return [f"{path}: {one}" for one in visible(body(page))]


@pytest.mark.slow
def test_every_page_of_organisers_is_said_in_the_readers_language(office: Office) -> None:
    visitor = office.client("owner")
    visitor.get("/settings?lang=zz")
    left = []
    visitor.post("/seeds", lines="It should like cats.")
    visitor.post("/principles", text="Say what you know.", source=["s0", "s3"], rationale="Both.")
    visitor.post("/participants", exclude="p3", reason__p3="why not")
    visitor.post("/statements", one="rejected:s5", reason__s5="unclear")
    visitor.post("/releases", **release_form())
    visitor.post("/invitations", 200, what="links", count="2")
    told = [f"/statements?done={word}&count=2" for word in ("accepted", "undone", "seeds")]
    for path in (
        *PAGES,
        *told,
        "/groups?done=again",
        "/releases?done=released",
        "/statements?state=flagged",
        "/statements?state=rejected",
        "/statements?state=accepted",
        "/participants?show=excluded",
        "/participants/p1",
    ):
        left += left_over(visitor, path)
    for path in ("/admin", "/admin/new", "/admin/import", "/invitations?state=open"):
        left += left_over(visitor, path)
    left += left_over(visitor, "/nothing-here", 404)
    for where, values in (
        ("/statements", {}),
        ("/seeds", {}),
        ("/principles", {"text": "Without sources"}),
        ("/staff", {"what": "role", "email": "no address", "role": "viewer"}),
        ("/staff", {"what": "role", "email": "nobody@example.org", "role": "none"}),
        ("/staff", {"what": "link", "email": "owner@example.org"}),
        ("/settings", {"what": "phase", "phase": "gone"}),
        ("/settings/texts", {}),
        ("/settings/taking-part", {}),
        ("/settings/dates", {"time_zone": "Nowhere", "opens": "soon"}),
        ("/settings/look", {"colour": "red"}),
        ("/settings/embedding", {"sites": "red"}),
        ("/settings/look", {"what": "logo"}),
        ("/settings/languages", {}),
        ("/settings/people", {"questions": "1", "rows:0": "1", "share:0:0": "most"}),
        ("/invitations", {"what": "links"}),
        ("/releases", {}),
        ("/releases", {**release_form(), "sure": ""}),
        ("/answers", {"what": "type"}),
        ("/statements", {"one": "rejected:s1"}),
        ("/participants", {"exclude": "p1"}),
        ("/invitations", {"what": "mail"}),
    ):
        answer = visitor.post(where, 422, **values)
        left += [f"{where}: {one}" for one in visible(body(answer.text))]
        assert '<li><span lang="zz" dir="auto">' in answer.text
    stranger = office.client(None)
    left += left_over(stranger, "/admin/login?lang=zz")
    assert left == []


@pytest.mark.slow
def test_every_page_of_participants_is_said_in_the_readers_language(
    tmp_path: Path, strange: Path
) -> None:
    made = site(tmp_path / "store", locales=strange)
    what = consultation(made.store, languages=["en", "zz"])
    crowd(made.store, what, 30)
    recompute(made.store, what)
    browser = made.browser()
    left: list[str] = []

    def look(path: str, status: int = 200) -> None:
        page = browser.get(f"/c/water{path}")
        assert page.status_code == status and '<html lang="zz"' in page.text
        left.extend(f"{path}: {one}" for one in visible(body(page.text)))

    for path in ("?lang=zz", "/join", "/results", "/help", "/privacy"):
        look(path)
    look("/join?t=no", 403)
    browser.join()
    browser.get("/c/water/about-you?lang=zz")
    for _ in range(8):
        browser.vote()
    browser.get("/c/water/statement/new")
    browser.send("/c/water/statement/new", text="Ask what people mean first.", language="en")
    for path in (
        "/vote",
        "/vote?recorded=yes",
        "/statement/new",
        "/compare",
        "/answers",
        "/mine",
        "/mine/withdraw",
        "/withdrawn?receipt=7:0123456789abcdef",
        "/results",
        "/about-you",
        "/consent",
        "/moderation-policy",
        "/news",
    ):
        look(path)
    look("/nothing-here", 404)
    assert left == []
