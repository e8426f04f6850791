"""How surveys in further languages word non-response, one whole label a phrase.

English and ten other languages have patterns in `non_response_labels`, because their labels come
in many forms. Those of the languages here come in few.
"""

from __future__ import annotations

from collections.abc import Mapping

from suffrage.survey.codebook import NonResponse

# Arabic, Bulgarian, Chinese, Czech, Finnish, Greek, Hebrew, Hindi, Hungarian, Icelandic,
# Indonesian, Japanese, Korean, Persian, Polish, Romanian, Russian, Serbo-Croatian, Slovak,
# Slovene, Thai, Ukrainian and Vietnamese.
PHRASES: Mapping[NonResponse, tuple[str, ...]] = {
    NonResponse.DONT_KNOW: (
        *("nie wiem", "nie wie", "trudno powiedzieć"),
        *("не знаю", "не знает", "затрудняюсь", "затрудняюсь ответить", "затруднился ответить"),
        *("затруднились ответить", "трудно сказать", "важко сказати", "важко відповісти"),
        *("не знам", "не мога да преценя", "ne znam", "ne zna", "ne vem", "ne ve"),
        *("nevím", "neví", "neviem", "nevie", "nem tudom", "nem tudja"),
        *("nu știu", "nu ştiu", "nu știe", "nu ştie"),
        *("δεν γνωρίζω", "δεν γνωρίζει", "δεν ξέρω", "δεν ξέρει"),
        *("en osaa sanoa", "ei osaa sanoa", "en tiedä", "ei tiedä", "eos", "veit ekki"),
        *("分からない", "わからない", "分かりません", "わかりません"),
        *("모름", "모르겠다", "모르겠음", "모르겠습니다"),
        *("잘 모름", "잘 모르겠다", "잘 모르겠음", "잘 모르겠습니다"),
        *("不知道", "说不清", "說不清", "不晓得", "不曉得"),
        *("لا أعرف", "لا أدري", "لا يعرف", "لا أعلم", "לא יודע", "לא יודעת", "לא יודע/ת"),
        *("نمی‌دانم", "نمی دانم", "نمیدانم", "पता नहीं", "मालूम नहीं", "नहीं जानते"),
        *("tidak tahu", "không biết", "ไม่ทราบ", "ไม่รู้"),
    ),
    NonResponse.REFUSED: (
        *("odmowa", "odmowa odpowiedzi", "odmawiam odpowiedzi", "brak odpowiedzi"),
        *("nie chcę odpowiadać", "wolę nie odpowiadać"),
        *("отказ", "отказ от ответа", "отказ отвечать", "отказался отвечать", "отказался"),
        *("отказываюсь отвечать", "не хочу отвечать", "нет ответа", "без ответа"),
        *("відмова", "відмова від відповіді", "немає відповіді", "без відповіді"),
        *("без отговор", "без одговора", "bez odgovora", "odbija odgovoriti", "odbio odgovoriti"),
        *("ne želi odgovoriti", "brez odgovora", "ni odgovora"),
        *("odmítl", "odmítl odpovědět", "odmítá odpovědět", "neodpověděl", "bez odpovědi"),
        *("bez odpovede", "odmietol odpovedať", "neodpovedal"),
        *("nem válaszolt", "nem válaszol", "válaszmegtagadás", "nincs válasz"),
        *("nu răspund", "nu răspunde", "fără răspuns", "refuz", "refuză să răspundă"),
        *("δεν απαντώ", "δεν απαντά", "άρνηση", "χωρίς απάντηση", "καμία απάντηση"),
        *("ei vastausta", "ei vastaa", "kieltäytyi", "kieltäytyi vastaamasta"),
        *("en halua vastata", "ei halua vastata"),
        *("neitar að svara", "svarar ekki", "vil ekki svara"),
        *("無回答", "未回答", "回答拒否", "回答なし", "答えたくない", "拒否"),
        *("무응답", "응답 거절", "응답거절", "응답 거부", "응답거부", "거절"),
        *("拒绝回答", "拒絕回答", "拒答", "无回答", "不回答", "没有回答", "不愿回答", "不願回答"),
        *("رفض", "رفض الإجابة", "أرفض الإجابة", "لا إجابة", "لا جواب", "بدون إجابة", "لم يجب"),
        *("מסרב", "סירב", "מסרב לענות", "סירב לענות", "ללא תשובה", "אין תשובה", "לא השיב"),
        *("بدون پاسخ", "بی پاسخ", "بی‌پاسخ", "پاسخ نداد"),
        *("कोई जवाब नहीं", "जवाब नहीं दिया", "कोई उत्तर नहीं", "उत्तर नहीं दिया"),
        *("tidak menjawab", "menolak menjawab", "tidak ada jawaban", "menolak"),
        *("không trả lời", "từ chối trả lời", "từ chối"),
        *("ไม่ตอบ", "ไม่ขอตอบ", "ปฏิเสธที่จะตอบ"),
    ),
    NonResponse.NOT_APPLICABLE: (
        *("nie dotyczy", "не применимо", "неприменимо", "не стосується", "не се отнася"),
        *("netýká se", "netýka sa", "nem alkalmazható", "nu se aplică", "nu este cazul"),
        *("δεν εφαρμόζεται", "ei sovellu", "nije primjenjivo", "nije primenljivo", "á ekki við"),
        *("非該当", "該当なし", "해당없음", "해당 없음", "비해당", "不适用", "不適用"),
        *("لا ينطبق", "לא רלוונטי", "लागू नहीं", "tidak berlaku", "không áp dụng"),
    ),
    NonResponse.NOT_ASKED: (
        *("nie pytano", "nie zadano", "не спрашивали", "не задавался", "ei kysytty"),
        *("nem kérdezték", "未询问", "tidak ditanyakan"),
    ),
    NonResponse.MISSING: (
        *("brak danych", "braki danych", "нет данных", "немає даних", "hiányzó adat"),
        *("date lipsă", "puuttuva tieto", "欠損値", "결측값", "결측", "缺失值", "缺失"),
        *("بيانات مفقودة", "data hilang"),
    ),
}

# Stems of the act that a label such as "Refused" names, and of what people do instead of it. Read
# in lower case and without accents, as `non_response_labels` reads labels.
_REFUSE = (
    r"refus|declin|reject|verweiger|abgelehnt|weiger|geweiger|recus|rejeit|rifiut|respint|rechaz|"
    r"nekt|avvis|avslag|reddet|odmow|odmaw|odmit|odmiet|отказ|відмов|refuz|odbi|αρνη|kielta|拒|"
    r"거절|رفض|סירב|מסרב|menolak|từ chối"
)
_ACCEPT = (
    r"accept|agreed|consent|approv|grant|allow|permit|compli|admitted|"
    r"zustimm|zugestimm|angenommen|annahme|genehmig|bewillig|erlaub|akzept|einwillig|"
    r"\baccord|autoris|autoriz|acept|aprobad|aprobo|concedid|aceit|aprovad|accett|approvat|"
    r"akkoord|toegest|toestemm|goedgekeur|geaccepteer|godkan|godkend|godkjen|samtyk|kabul|onay|"
    r"zgod|akcept|zaakcept|souhlas|suhlas|prijat|соглас|принят|одобр|прииня|згод|αποδοχ|"
    r"hyvaksy|suostu|prihva|elfogad|beleegy|同意|承認|受け入れ|接受|批准|동의|수락|승인|موافق|قبول|"
    r"הסכים|מסכים|setuju|menerima|đồng ý|chấp nhận"
)
_SKIP = r"skip"
_ATTEND = r"attend|complet|took|taken|did|done|ate|eat|had|watch|read|play|present|finish|visit"
COUNTERPARTS = ((_REFUSE, _ACCEPT), (_SKIP, _ATTEND))
# Words that show that another label is the counterpart of agreeing.
OPPOSED = (
    r"disagree|disapprov|ablehn|lehne|desaccord|desacuerdo|desacord|discord|oppos|against|dagegen|"
    r"oneens|uenig|oenig|несоглас|не соглас|не згод|nesouhlas|nesuhlas|dezacord|反対|不同意|반대|"
    r"غير موافق|tidak setuju|không đồng ý|"
    r"(?:\b(?:no|not|nicht|pas|non|nao|geen|niet|nie|ne|nu|ikke|inte|ej)\b)"
    rf".*(?:{_ACCEPT})"
)
