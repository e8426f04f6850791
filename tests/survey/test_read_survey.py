from pathlib import Path

import pytest

from suffrage import registry
from suffrage.errors import InputError
from suffrage.survey import read_survey, readers, survey_files


@pytest.mark.parametrize("function", [read_survey, survey_files])
@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, r"survey\.reader is missing; there are .*gss_spending, labelled_file"),
        (
            {"reader": "eurobarometer"},
            r'there is no reader "eurobarometer"; there are .*gss_spending',
        ),
        ({"reader": "wvs7"}, r"survey\.path: is missing"),
        ({"reader": "labelled_file", "path": "a.csv"}, r"survey\.codebook: is missing"),
        (
            {"reader": "wvs7", "path": "a.csv", "code_book": "b"},
            r"survey\.code_book: unknown key; there are path, codebook.*Did you mean \"codebook\"",
        ),
        ({"reader": "wvs7", "path": 7}, r"survey\.path.* 7"),
    ],
)
def test_a_wrong_survey_section_names_its_key(function, section, message, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        function(section, tmp_path)


def test_the_folder_of_readers_holds_one_registered_reader_a_file():
    folder = Path(readers.__file__).parent
    files = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    assert files == sorted(registry.names("readers"))
    for name in files:
        assert registry.load("readers", name).name == name
