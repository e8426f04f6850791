"""Which labels word non-response: a label counts as a whole, and words inside it never do.

"Refuse collection" and "Rather not important" are answers, though they begin like "Refused" and
"Rather not say". A label that only contains the words of non-response, such as "Don't know what
that is", is in doubt: a person has to decide.

Some whole labels are non-response in one question and an answer in another: "Declined" may be
"Refused" or the opposite of "Increased", and "DK" may be Denmark. `read_labels` therefore reads all
labels of a question or column together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from suffrage.survey.codebook import NonResponse
from suffrage.survey.survey import ReadCode

_DO_NOT = r"(?:do not|don'?t|does not|doesn'?t|did not|didn'?t)"
_DO_NOT_KNOW = rf"{_DO_NOT} know"
_SAY = r"(?:say|answer|respond|reply|tell|disclose|state)"
_WHO = r"(?:i |r |respondent )?"

# What a whole label says, or one part of a label such as "Don't know / Refused". Labels are
# compared in lower case and without accents.
_ENGLISH = {
    NonResponse.DONT_KNOW: (
        rf"{_WHO}(?:really )?{_DO_NOT_KNOW}(?: the answer| enough to say)?|"
        rf"dk|{_WHO}(?:can'?t|cannot|can not|could not|couldn'?t) (?:say|choose)"
    ),
    NonResponse.REFUSED: (
        rf"{_WHO}(?:refused|refuses|declined|declines|refuse|decline) to {_SAY}"
        r"(?: the question| this question)?|"
        rf"{_WHO}(?:refused|refuses)(?: the question| this question| answer)?|"
        r"refusal|rf|no (?:answer|reply|response)|not (?:stated|answered)|"
        rf"{_WHO}{_DO_NOT} (?:answer|reply|respond|say|want to {_SAY}|wish to {_SAY})|"
        rf"{_WHO}(?:choose|chose|chooses|prefers?|preferred) not to {_SAY}|"
        rf"{_WHO}(?:would|will|wo)(?: not|n'?t) {_SAY}|"
        rf"(?:i(?: would|'d) |would )?(?:prefer not to|rather not) {_SAY}"
    ),
    NonResponse.NOT_APPLICABLE: (
        r"(?:question )?not applicable|inap|iap|n/?a|n\.a|inapplicable|"
        r"(?:valid|legitimate|logical) skip"
    ),
    NonResponse.NOT_ASKED: (
        r"(?:question |item )?not asked"
        r"(?: (?:in|by|of|on) (?:the |this |that )?"
        r"(?:survey|country|wave|round|year|interviewer|respondent|version|form|ballot|split))?"
    ),
    NonResponse.MISSING: (
        r"(?:other |system |user )missing(?: values?| data| answer)?|"
        r"missing (?:values?|data|answer)|"
        r"not available(?: in this (?:release|year))?|skipped(?: on web| question)?|uncodeable|"
        r"not (?:specified|ascertained)|web blank|(?:item |unit )?non-?response"
    ),
}
# German, French, Spanish, Portuguese, Italian, Dutch, Swedish, Danish, Norwegian and Turkish.
_OTHER_LANGUAGES = {
    NonResponse.DONT_KNOW: (
        r"(?:ich )?weiss (?:ich |es )?nicht|"
        r"(?:je )?ne sai[st] pas|nsp|"
        r"no (?:lo )?(?:sabe|se)|n\.?s\.?p?\.? ?[/-]? ?n\.?[cr]|"
        r"nao sabe|nao sei|non sa|non (?:lo )?so|"
        r"(?:ik )?weet (?:ik )?(?:het )?niet|"
        r"(?:jag )?vet (?:ej|inte|ikke)|ved ikke|"
        r"bilmiyor(?:um)?"
    ),
    NonResponse.REFUSED: (
        r"keine (?:angaben?|antwort)|k\. ?a|(?:antwort )?verweigert|"
        r"(?:antwort|angabe) verweigert|verweigerung|mochte ich nicht (?:sagen|beantworten)|"
        r"(?:sans|pas de) reponse|non[ -]reponse|refus(?: de repondre)?|refuse de repondre|"
        r"ne se prononce pas|ne (?:veut|souhaite) pas repondre|"
        r"no (?:contesta|responde|contesto|respondio)|sin respuesta|"
        r"prefier[eo] no (?:contestar|responder|decir(?:lo)?)|no quiere (?:contestar|responder)|"
        r"nao (?:responde|respondeu|quis responder)|recus(?:a|ou)(?: responder)?|sem resposta|"
        r"prefir?[eo] nao (?:responder|dizer)|"
        r"non risponde|(?:si )?rifiuta(?: di rispondere)?|nessuna risposta|"
        r"preferisc[eo] non rispondere|"
        r"geen (?:antwoord|opgave)|weigert|weigering|geweigerd|"
        r"wil (?:ik )?(?:het )?niet (?:zeggen|antwoorden)|"
        r"(?:jag )?vill (?:ej|inte|ikke) (?:svara|svare|uppge)|(?:inget|ej|intet) svar|"
        r"onsker ikke (?:a svare|at svare)|"
        r"(?:cevap|yanit) (?:yok|vermedi|vermek istemiyor(?:um)?)|reddetti|cevapsiz"
    ),
    NonResponse.NOT_APPLICABLE: (
        r"nicht zutreffend|entfallt|sans objet|non concerne|no (?:procede|aplica)|nao se aplica|"
        r"non applicabile|niet van toepassing|n\.?v\.?t|ej tillampligt|inte aktuellt|"
        r"uygulanamaz"
    ),
    NonResponse.NOT_ASKED: (
        r"nicht (?:gefragt|erhoben)|non (?:pose|demande)|no preguntad[oa]|nao perguntad[oa]|"
        r"non (?:chiesto|rilevato)|niet gevraagd|ej tillfragad|sorulmadi"
    ),
    NonResponse.MISSING: (
        r"fehlende(?:r wert|rwert| angabe| werte)|valeur manquante|valor perdido|dado ausente|"
        r"dato mancante|ontbrekend|uppgift saknas|kayip veri"
    ),
}
_WHOLE = {kind: f"{_ENGLISH[kind]}|{_OTHER_LANGUAGES[kind]}" for kind in NonResponse}

# Whole labels that are non-response in one question and an answer in another.
_EITHER = {
    NonResponse.DONT_KNOW: (
        rf"unsure|unknown|no opinion|{_WHO}(?:{_DO_NOT}|can'?t|cannot|can not) remember|"
        r"keine meinung|sans opinion|sin opinion|sem opiniao|nessuna opinione|geen mening|"
        r"ingen (?:asikt|mening)|fikrim yok|fikri yok|unbekannt|inconnu|desconocido|onbekend|okand"
    ),
    NonResponse.REFUSED: (
        r"(?:r |respondent )?declined?|(?:i(?: would|'d) |would )?(?:prefer|rather) not"
    ),
    NonResponse.NOT_APPLICABLE: r"trifft nicht zu",
    NonResponse.MISSING: r"missing|blank|skip|fehlend|manquant|ausente",
}
# The other options that make such a label an answer, each with the label it goes with.
_SCALE_MATES = (
    (
        r"declined?",
        r".*\b(?:increased?|rose|risen|grew|grown|improved|grow|rise|same|unchanged|no change|"
        r"stable|steady|stayed|accept(?:ed|s)?|agreed|consented|approved)\b.*",
    ),
    (
        r"(?:would )?(?:rather|prefer) not|i(?: would|'d) (?:rather|prefer) not",
        r"(?:rather|probably|definitely|certainly|absolutely|clearly)(?: (?:yes|no|not|so))?|"
        r"rather .*|(?:strongly )?prefer|(?:absolutely|not) at all|"
        r"(?:definitely|certainly|absolutely) (?:would|will)(?: not)?",
    ),
    (
        r"missing",
        r"(?:present|broken|damaged|intact|complete|incomplete|there|found|in place|"
        r"worn|repaired|available|defective|ok|not missing)\b.*",
    ),
    (r"unsure", r"(?:(?:very|fairly|quite|rather|somewhat|completely|totally) )?(?:un)?sure"),
    (r"unknown", r"(?:(?:well|widely|barely|little|hardly) )?known"),
    (
        r"blank",
        r"(?:blank|spoilt|spoiled|null|invalid) (?:vote|ballot).*|spoilt|spoiled|lined|full",
    ),
    (r"skip", r"(?:keep|play|repeat|hop|jump|run|walk)\b.*"),
    (r"trifft nicht zu", r"trifft .*\bzu\b.*"),
    (r".* remember", r"(?:i |r )?remember.*"),
)
# After one of these at its beginning, the rest of a label says only why.
_HEADS = re.compile(r"(?:other )?missing|inap|iap|not applicable|dk|n/?a")
# Parts that stand next to non-response without changing it.
_COMPANIONS = re.compile(
    r"(?:not sure|undecided|unknown|other|can'?t remember|cannot remember|don'?t remember|none)"
)
# What an interviewer is told, not what a person answers.
_INSTRUCTION = re.compile(
    r"[(\[](?:do not read(?: out)?|don'?t read(?: out)?|spontaneous(?:ly)?|vol\.?|volunteered|"
    r"if volunteered|not read out|dk|na|nr|rf)[)\]]"
)
# Words that make a label doubtful when they are not all of it.
_HINTS = {
    NonResponse.DONT_KNOW: (
        rf"\b{_DO_NOT_KNOW}\b|^(?:i )?dk\b(?!-|:)|\bunsure\b|^can'?t (?:say|choose)\b|"
        r"^(?:hard|difficult) to say$"
    ),
    NonResponse.REFUSED: (
        rf"\brefus(?:ed|al)\b|\brefuse to {_SAY}\b|\bno answer\b|\bprefer not\b|"
        rf"\brather not {_SAY}\b|\bnot stated\b"
    ),
    NonResponse.NOT_APPLICABLE: r"\bnot applicable\b|^ina?p\b|^does not apply$",
    NonResponse.NOT_ASKED: r"\bnot asked\b",
    NonResponse.MISSING: r"\bmissing\b|\bnot available\b|\bskipped\b|\buncodeable\b",
}
# A code of a country, a region or the like.
_PLACE_CODE = re.compile(r"[A-Z]{2,3}")
# Words of two or three letters that are answers when a file writes them in capitals.
_SHORT_WORDS = frozenset(
    ("YES", "NO", "OK", "LOW", "MID", "BAD", "NEW", "OLD", "FEW", "ALL", "ANY", "MAN", "SI", "JA")
)
# What columns of countries and regions are called.
_PLACE_NAMES = re.compile(
    r"(?:.*_)?(?:country|countries|cntry|nation|land|region|state|province|nuts\d?|iso\d?)"
    r"(?:_?(?:code|name|alpha|iso\d?|\d))*"
)


@dataclass(frozen=True)
class LabelReading:
    """What a label means among the other labels of its question."""

    # The kind of non-response; None when the label is taken for an answer.
    kind: NonResponse | None = None
    # Of a label taken for an answer: the kind it may mean; None when it is clear.
    doubtful: NonResponse | None = None

    def asked_about(self, label: str, name: str, code: str) -> ReadCode | None:
        """Return what to ask a person about the label, None when it is clear."""
        if self.doubtful is None:
            return None
        return ReadCode(name, code, label, "", f'its label may mean "{self.doubtful.label}"')


def read_labels(labels: Iterable[str], *, places: bool = False) -> dict[str, LabelReading]:
    """Read the labels of one question or column together.

    Parameters
    ----------
    labels : iterable of str
        The value labels or texts of options; all of them, because one explains another.
    places : bool
        The labels are those of countries or regions, so that codes such as "DK" and "NA" are.

    Returns
    -------
    dict
        Each label to its reading. Codes in capitals such as "DK" and "NA" are answers among other
        codes of as many letters. A label that may be an answer or non-response, such as "Missing",
        is non-response next to one that is plainly so, an answer where the other labels make it
        one ("Present", "Broken"), and otherwise in doubt.

    Examples
    --------
    >>> read_labels(["DE", "DK", "FR"])["DK"].kind is None
    True
    >>> read_labels(["Yes", "No", "DK"])["DK"].kind.label
    "don't know"
    >>> read_labels(["Increased", "Same", "Declined"])["Declined"]
    LabelReading(kind=None, doubtful=None)
    >>> read_labels(["Yes", "No", "Missing"])["Missing"].doubtful.label
    'missing'
    """
    distinct = list(dict.fromkeys(labels))
    codes = {text for text in distinct if is_place_code(text, distinct, places=places)}
    plain = {label: _plain(_lowered(label)) for label in distinct}
    certain = any(kind_of_label(label) is not None for label in distinct if label not in codes)
    read: dict[str, LabelReading] = {}
    for label in distinct:
        if label in codes:
            read[label] = LabelReading()
            continue
        kind = kind_of_label(label)
        if kind is not None:
            may_be = _is_code(label) and (places or _codes_around(label, distinct, mixed=True))
            read[label] = LabelReading(doubtful=kind) if may_be else LabelReading(kind)
            continue
        either = _kind_of_parts(plain[label])[0]
        if either is None:
            read[label] = LabelReading(doubtful=doubtful_kind(label))
        elif _is_of_scale(plain[label], [plain[other] for other in distinct if other != label]):
            read[label] = LabelReading()
        elif certain:
            read[label] = LabelReading(either)
        else:
            read[label] = LabelReading(doubtful=either)
    return read


def points_of_scale(texts: Collection[str]) -> list[bool]:
    """Return which options of a scale are points of it: not "Don't know", and not "Not sure".

    Examples
    --------
    >>> points_of_scale(["A lot", "A little", "Not sure", "Refused"])
    [True, True, False, False]
    """
    readings = read_labels(texts)
    return [
        readings[text].kind is None and _plain(_lowered(text)) not in ("not sure", "unsure")
        for text in texts
    ]


def is_place_code(text: str, others: Collection[str], *, places: bool = False) -> bool:
    """Whether a text such as "DK" or "NA" is a code among other codes, and no mark.

    Parameters
    ----------
    text : str
        The text of a cell, or a label.
    others : collection of str
        All texts of the column; the text itself may be among them.
    places : bool
        The column is one of countries or regions: no other code has to be there, and codes may
        have two or three letters.
    """
    return _is_code(text) and _codes_around(text, others, mixed=places, alone=places)


def names_places(name: str) -> bool:
    """Whether a column's name, or a demographic's, says that it holds countries or regions.

    Examples
    --------
    >>> names_places("B_COUNTRY_ALPHA"), names_places("cntry"), names_places("roads")
    (True, True, False)
    """
    return _PLACE_NAMES.fullmatch(name.strip().lower().replace(" ", "_")) is not None


@lru_cache(maxsize=4096)
def kind_of_label(label: str) -> NonResponse | None:
    """Return the kind of non-response that a label words whatever the other labels are.

    Parameters
    ----------
    label : str
        A value label, or the text of an option.

    Returns
    -------
    NonResponse or None
        None when the label reads like an answer, or is in doubt (`doubtful_kind`). A label with
        several kinds has the first in the order of `NonResponse`.

    Examples
    --------
    >>> kind_of_label("DK / Refused").label
    "don't know"
    >>> kind_of_label("Refuse collection") is None
    True
    """
    plain = _plain(_INSTRUCTION.sub(" ", _lowered(label)))
    kind, certain = _kind_of_parts(plain)
    return kind if certain else None


def doubtful_kind(label: str) -> NonResponse | None:
    """Return the kind of non-response that a label may word, None when it is clear.

    Examples
    --------
    >>> doubtful_kind("I do not know them").label
    "don't know"
    >>> doubtful_kind("Don't know") is None, doubtful_kind("Rather not important") is None
    (True, True)
    """
    if kind_of_label(label) is not None:
        return None
    plain = _plain(_lowered(label))
    either = _kind_of_parts(_plain(_INSTRUCTION.sub(" ", _lowered(label))))[0]
    hints = (kind for kind, hint in _HINTS.items() if re.search(hint, plain))
    return either if either is not None else next(hints, None)


def _kind_of_parts(plain: str) -> tuple[NonResponse | None, bool]:
    """The kind that a label or its parts word, and whether no other label can change that."""
    for patterns, certain in ((_WHOLE, True), (_EITHER, False)):
        if (whole := _kind_of_part(plain, patterns)) is not None:
            return whole, certain
    parts = [_plain(part) for part in re.split(r"[/;:,()\[\]]| or | and |\s[-–]\s", plain)]
    parts = [part for part in parts if part]
    sure = [kind for part in parts if (kind := _kind_of_part(part, _WHOLE)) is not None]
    rest = [
        part
        for part in parts
        if _kind_of_part(part, _WHOLE) is None and not _COMPANIONS.fullmatch(part)
    ]
    either = [kind for part in rest if (kind := _kind_of_part(part, _EITHER)) is not None]
    kinds = sure or either
    begins = bool(parts) and _HEADS.fullmatch(parts[0]) is not None
    if begins and not re.match(r"(dk|n/?a)\s*[-:]|missing\s*[^;:\s]", plain):
        return max([*sure, *either]), True
    if kinds and len(either) == len(rest):
        return max(kinds), bool(sure)
    return None, False


def _is_of_scale(plain: str, others: Collection[str]) -> bool:
    """Whether the other options make an answer of a label that may be one."""
    return any(
        re.fullmatch(label, plain) and any(re.fullmatch(mate, other) for other in others)
        for label, mate in _SCALE_MATES
    )


def _is_code(text: str) -> bool:
    return _PLACE_CODE.fullmatch(text.strip()) is not None


def _codes_around(
    text: str, others: Collection[str], *, mixed: bool = False, alone: bool = False
) -> bool:
    """Whether the other texts are codes of as many letters.

    mixed: they may have another number of letters. alone: there may be none.
    Texts that word non-response themselves do not count, because a list of codes may have them.
    """
    text = text.strip()
    around = {
        other.strip() for other in others if not (_is_code(other) and kind_of_label(other.strip()))
    } - {"", text}
    return (
        (alone or bool(around - _SHORT_WORDS))
        and all(_is_code(other) for other in around)
        and (mixed or all(len(other) == len(text) for other in around))
    )


def _lowered(label: str) -> str:
    """The label in lower case, with plain apostrophes and without accents."""
    text = label.replace("’", "'").replace("´", "'").replace("`", "'").replace("ß", "ss")
    parts = unicodedata.normalize("NFKD", text.lower().replace("ı", "i").replace("ø", "o"))
    return "".join(char for char in parts if not unicodedata.combining(char))


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(' .()[]"*-–:;,!?')


def _kind_of_part(part: str, patterns: Mapping[NonResponse, str]) -> NonResponse | None:
    found = (kind for kind, pattern in patterns.items() if re.fullmatch(pattern, part))
    return next(found, None)
