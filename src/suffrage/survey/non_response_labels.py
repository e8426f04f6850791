"""Which labels word non-response: a label counts as a whole, and words inside it never do.

"Refuse collection" and "Rather not important" are answers, though they begin like "Refused" and
"Rather not say". A label that only contains the words of non-response, such as "Don't know what
that is", is in doubt: a person has to decide.

Some whole labels are non-response in one question and an answer in another: "Declined" may be
"Refused" or the opposite of "Increased", and "DK" may be Denmark. `read_labels` therefore reads all
labels of a question or column together, with their codes and how many people have them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from suffrage.survey.codebook import NonResponse
from suffrage.survey.codes import code_order, plain_code
from suffrage.survey.non_response_phrases import COUNTERPARTS, OPPOSED, PHRASES
from suffrage.survey.survey import ReadCode


def _lowered(label: str) -> str:
    """The label in lower case, with plain apostrophes and without accents."""
    text = label.replace("’", "'").replace("´", "'").replace("`", "'").replace("ß", "ss")
    parts = unicodedata.normalize("NFKD", text.lower().replace("ı", "i").replace("ø", "o"))
    return "".join(char for char in parts if not unicodedata.combining(char))


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(' .()[]"*-–:;,!?')


# What programs write into a text file for a missing value: R, pandas, Excel, SPSS, SAS and Stata.
MISSING_MARKS = {"NA", "<NA>", "N/A", "#N/A", "NaN", "nan", "NULL", "#NULL!", "."}
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
_FURTHER_LANGUAGES = {
    kind: "|".join(re.escape(_plain(_lowered(phrase))) for phrase in phrases)
    for kind, phrases in PHRASES.items()
}
_WHOLE = {
    kind: f"{_ENGLISH[kind]}|{_OTHER_LANGUAGES[kind]}|{_FURTHER_LANGUAGES[kind]}"
    for kind in NonResponse
}

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


# Labels that speak of the interview. In no question are they answers.
_OF_THE_INTERVIEW = re.compile(
    rf".*\b(?:to {_SAY}|want|wish|question|data|values?|system|web|interviewer|respondent|item|"
    r"antwort verweigert|angabe|sagen|beantworten|repondre|prononce|contestar|responder|decir|"
    r"dizer|rispondere|zeggen|antwoorden|svara|svare|uppge|vermek|odpowied\w*|odpov\w*|ответ\w*|"
    r"відпов\w*|vastata|vastaamasta|odgovoriti|menjawab|tra loi)\b.*|"
    r"dk|rf|inap|iap|n/?a|n\.a|nsp|k\. ?a|n\.?v\.?t|eos|n\.?s\.?p?\.? ?[/-]? ?n\.?[cr]"
)
# Words that turn another word into non-response, and words that carry no meaning of their own.
_NO = frozenset(
    [
        *("no", "not", "do", "don't", "does", "doesn't", "did", "didn't"),
        *("keine", "kein", "nicht", "pas", "de", "d", "sans", "ne", "non", "sin", "sem", "nao"),
        *("geen", "niet", "ej", "inte", "ikke", "inget", "intet", "yok", "brak", "nie", "nem"),
        *("nu", "fara", "ei", "en", "bez", "без", "не", "нет", "nincs"),
        *("i", "r", "ich", "es", "je", "j", "jag", "ik", "het", "me", "a", "the", "lo", "le"),
        *("respondent", "really"),
    ]
)
# Answers that a person knows as such even where their code stands apart.
_PLAINLY_ANSWERS = re.compile(
    r"\W*(?:other|others|none|neither|all|both|never|something else|someone else|andere\w*|"
    r"sonstige\w*|keine\w*|autre\w*|aucun\w*|otr[oa]s?|ningun\w*|outr[oa]s?|nenhum\w*|altr[oi]|"
    r"nessun\w*|anders|geen|annat|annan|andet|annet|diger|hicbiri|inne|inny|друг\w*|інш\w*|"
    r"jine|jiny|egyeb|altul|altele|αλλο|muu|その他|기타|其他|أخرى|אחר|lainnya|khac)\b.*"
)
# Other codes that archives use for non-response: 9 after 1 to 5, 99, 88, 997.
_HIGH_CODE = re.compile(r"[789]|66+|77+|88+|9+[5-9]")
# A column with more labels than this has no natural counterpart of a single one.
MOST_COUNTERPARTS = 5
# More people than this never leave a question out without a reason.
MOST_SILENT = 0.4
# A label with fewer people than this, and a code apart from the others, may be non-response.
FEW = 0.2


_COUNTERPARTS = tuple((_lowered(act), _lowered(opposite)) for act, opposite in COUNTERPARTS)
_OPPOSED = re.compile(_lowered(OPPOSED))


@dataclass(frozen=True)
class LabelUse:
    """How a file uses a label."""

    code: str
    # The share of the filled cells of the column that have it.
    share: float


@dataclass(frozen=True)
class LabelReading:
    """What a label means among the other labels of its question."""

    # The kind of non-response; None when the label is taken for an answer.
    kind: NonResponse | None = None
    # Of a label taken for an answer: the kind it may mean; None when it is clear.
    doubtful: NonResponse | None = None
    # Of a doubt that the wording alone does not raise: why, from "but" or "because" on.
    reason: str = ""

    def asked_about(self, label: str, name: str, code: str) -> ReadCode | None:
        """Return what to ask a person about the label, None when it is clear."""
        if self.doubtful is None:
            return None
        why = f'its label may mean "{self.doubtful.label}"'
        return ReadCode(name, code, label, "", f"{why}, {self.reason}" if self.reason else why)


def read_labels(
    labels: Iterable[str], *, places: bool = False, uses: Mapping[str, LabelUse] | None = None
) -> dict[str, LabelReading]:
    """Read the labels of one question or column together.

    Parameters
    ----------
    labels : iterable of str
        The value labels or texts of options; all of them, because one explains another.
    places : bool
        The labels are those of countries or regions, so that codes such as "DK" and "NA" are.
    uses : mapping, optional
        The code and the share of each label, where a file says them.

    Returns
    -------
    dict
        Each label to its reading. Codes in capitals such as "DK" and "NA" are answers among other
        codes of as many letters. A label that may be an answer or non-response, such as "Missing",
        is non-response next to one that is plainly so, an answer where the other labels make it
        one ("Present", "Broken"), and otherwise in doubt. A label that words non-response is in
        doubt next to its counterpart ("Refused" and "Accepted"), when only one other label is
        there, when too many people have it, or when its code is between those of answers. A label
        in any language is in doubt when few have it and its code is apart from the others.

    Examples
    --------
    >>> read_labels(["DE", "DK", "FR"])["DK"].kind is None
    True
    >>> read_labels(["Yes", "No", "DK"])["DK"].kind.label
    "don't know"
    >>> read_labels(["Increased", "Same", "Declined"])["Declined"]
    LabelReading(kind=None, doubtful=None, reason='')
    >>> read_labels(["Yes", "No", "Missing"])["Missing"].doubtful.label
    'missing'
    >>> read_labels(["Refused", "Accepted", "Don't know"])["Refused"].doubtful.label
    'refused'
    """
    distinct = list(dict.fromkeys(labels))
    codes = {text for text in distinct if is_place_code(text, distinct, places=places)}
    sure = {label: kind_of_label(label) for label in distinct if label not in codes}
    column = _Column(
        answers=tuple(text for text in distinct if sure.get(text) is None and _plain(text)),
        silent=sum(kind is not None for kind in sure.values()),
        places=places,
        uses=uses or {},
    )
    read = {label: LabelReading() for label in distinct}
    for label, kind in sure.items():
        if kind is not None:
            may_be = _is_code(label) and (places or _codes_around(label, distinct, mixed=True))
            read[label] = column.reading_of_kind(label, kind, may_be)
    certain = any(reading.kind is not None for reading in read.values())
    for label, kind in sure.items():
        if kind is None:
            read[label] = column.reading_without_kind(label, certain)
    return read


@dataclass(frozen=True)
class _Column:
    """What one label is read among: the labels of a question or a column."""

    # The labels that do not word non-response.
    answers: tuple[str, ...]
    # How many labels do.
    silent: int
    # The labels are those of countries or regions.
    places: bool
    uses: Mapping[str, LabelUse]

    def reading_of_kind(self, label: str, kind: NonResponse, may_be_code: bool) -> LabelReading:
        """Read a label that words a kind of non-response by itself, unless it may be an answer."""
        reason = self.why_an_answer(label)
        if may_be_code or reason is not None:
            return LabelReading(doubtful=kind, reason=reason or "")
        return LabelReading(kind)

    def reading_without_kind(self, label: str, certain: bool) -> LabelReading:
        """Read a label that does not word non-response by itself.

        certain: another label of the column is plainly non-response.
        """
        plain = _plain(_lowered(label))
        either = _kind_of_parts(plain)[0]
        others = [other for other in self.answers if other != label]
        if either is not None:
            if _is_of_scale(plain, [_plain(_lowered(other)) for other in others]):
                return LabelReading()
            reason = self.why_an_answer(label)
            if certain and reason is None:
                return LabelReading(either)
            return LabelReading(doubtful=either, reason=reason or "")
        doubtful = doubtful_kind(label)
        if doubtful is None and self._looks_apart(label):
            reason = "because its code stands apart from the others and few people have it"
            return LabelReading(doubtful=NonResponse.MISSING, reason=reason)
        return LabelReading(doubtful=doubtful)

    def why_an_answer(self, label: str) -> str | None:
        """Why a label that words non-response may be an answer all the same, None when it is not.

        Labels that speak of the interview ("Refused to answer") and combined ones ("Don't know /
        refused") are never answers, and neither are those with a code apart from the others.
        """
        plain = _plain(_lowered(label))
        kind = _kind_of_part(plain, _WHOLE) or _kind_of_part(plain, _EITHER)
        instructed = _INSTRUCTION.search(_lowered(label)) is not None
        if self.places or kind is None or instructed or _OF_THE_INTERVIEW.fullmatch(plain):
            return None
        use = self.uses.get(label)
        of_an_act = kind in (NonResponse.REFUSED, NonResponse.MISSING)
        if use is not None and of_an_act and use.share > MOST_SILENT:
            return f"but {use.share:.0%} of the filled cells have it"
        answers = [other for other in self.answers if other != label]
        codes = [self.uses[other].code for other in answers if other in self.uses]
        if use is not None and _is_apart(use.code, codes):
            return None
        if len(answers) <= MOST_COUNTERPARTS:
            for other in answers:
                if _are_counterparts(plain, other, answers):
                    return f'but "{other}" may be the opposite answer'
        if of_an_act and len(answers) == 1 and self.silent <= 1:
            return f'but "{answers[0]}" would be the only answer'
        if use is not None and _is_between(use.code, codes):
            return "but its code is between those of answers"
        return None

    def _looks_apart(self, label: str) -> bool:
        """Whether few have a label in words, with a code apart from those of all other answers."""
        use = self.uses.get(label)
        plain = _plain(_lowered(label))
        if use is None or self.places or use.share >= FEW or _PLAINLY_ANSWERS.fullmatch(plain):
            return False
        if not re.search(r"[^\W\d_]", plain) or re.search(rf"\b{re.escape(use.code)}\b", plain):
            return False
        others = [self.uses[other].code for other in self.answers if other in self.uses]
        return _is_apart(use.code, others)


def label_uses(column: pl.Series, texts: Mapping[str, str]) -> dict[str, LabelUse]:
    """Return the code of each label and how many of a column's filled cells have it.

    Parameters
    ----------
    column : Series of texts
        The codes in the file.
    texts : mapping
        Each code, as `plain_code` writes it, to its label. Codes without one do not count.

    Examples
    --------
    >>> label_uses(pl.Series(["1", "1", "2", None, "1"]), {"1": "Yes", "2": "No"})["Yes"]
    LabelUse(code='1', share=0.75)
    """
    counts: dict[str, int] = {}
    for text, count in column.drop_nulls().value_counts().iter_rows():
        code = plain_code(text)
        if code:
            counts[code] = counts.get(code, 0) + count
    filled = max(sum(counts.values()), 1)
    uses: dict[str, LabelUse] = {}
    for code, label in texts.items():
        share = counts.get(code, 0) / filled
        if label in uses:
            # Of two codes with one label, the first is as good as the other.
            uses[label] = LabelUse(uses[label].code, uses[label].share + share)
        else:
            uses[label] = LabelUse(code, share)
    return uses


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
    parts = [_plain(part) for part in re.split(r"[/;:,()\[\]、・،]| or | and |\s[-–]\s", plain)]
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


def _are_counterparts(plain: str, other: str, answers: Collection[str]) -> bool:
    """Whether another label is the answer opposite to one that words non-response.

    "Refused" has "Accepted", unless a third label is the opposite of that. "No answer" has "Short
    answer", and "Don't know" has "Know a little".
    """
    mate = _plain(_lowered(other))
    if doubtful_kind(other) is not None:
        return False
    for act, opposite in _COUNTERPARTS:
        if re.search(rf"\b(?:{act})", plain) and re.search(rf"\b(?:{opposite})", mate):
            return not any(_OPPOSED.search(_plain(_lowered(answer))) for answer in answers)
    words = plain.split()
    content = [word for word in words if word not in _NO]
    if not content or len(content) == len(words):
        return False
    word = content[0]
    stem = word if word.endswith("ed") or len(word) < 5 else word[: max(4, len(word) - 2)]
    mates = [part for part in re.findall(r"\w+", mate) if part not in _NO]
    fits = [part for part in mates if part.startswith(stem) and len(part) <= len(stem) + 3]
    # What somebody did begins the counterpart; a noun may have an adjective before it.
    if (
        words[0] in ("not", "do", "don't", "did", "didn't", "i")
        or kind_of_label(plain) == NonResponse.DONT_KNOW
    ):
        fits = [part for part in fits if part == mates[0]]
    return bool(fits) and len(mates) <= 3


def _numbers(codes: Iterable[str]) -> list[float]:
    return [number for number in (code_order(code)[0] for code in codes) if math.isfinite(number)]


def _is_between(code: str, others: Collection[str]) -> bool:
    """Whether a code has those of answers right below and right above."""
    own, rest = _numbers([code]), _numbers(others)
    return bool(own) and own[0] - 1 in rest and own[0] + 1 in rest


def _is_apart(code: str, others: Collection[str]) -> bool:
    """Whether a code is negative, or one of archives' high ones after a gap, as no other is.

    The others, less those that are apart in the same way, follow one another without large gaps.
    """
    own, rest = _numbers([code]), _numbers(others)
    usual: list[float] = []
    for number in sorted(number for number in rest if number >= 0):
        if usual and number > usual[-1] + 1 and _HIGH_CODE.fullmatch(plain_code(number)):
            break
        usual.append(number)
    if not own or len(usual) < 2 or max(usual) - min(usual) + 1 > 1.5 * len(usual):
        return False
    if own[0] < 0:
        return min(*rest, own[0]) != -max(rest)
    return _HIGH_CODE.fullmatch(code) is not None and own[0] > max(usual) + 1


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


def _kind_of_part(part: str, patterns: Mapping[NonResponse, str]) -> NonResponse | None:
    found = (kind for kind, pattern in patterns.items() if re.fullmatch(pattern, part))
    return next(found, None)


def missing_marks(column: pl.Series) -> list[str]:
    """Return the marks for a missing value that a column of a text file has.

    Among codes of countries NA is Namibia, and among codes of continents North America.

    Examples
    --------
    >>> missing_marks(pl.Series("stratum", ["1", "NA", "2"]))
    ['NA']
    >>> missing_marks(pl.Series("country", ["DE", "NA", "ZA"]))
    []
    """
    texts = column.unique().drop_nulls().cast(pl.String).str.strip_chars()
    are_marks = texts.is_in(list(MISSING_MARKS))
    marks = sorted(set(texts.filter(are_marks)))
    if not marks:
        return []
    others = texts.filter(~are_marks & (texts != "")).to_list()
    places = names_places(column.name)
    return [mark for mark in marks if not is_place_code(mark, others, places=places)]
