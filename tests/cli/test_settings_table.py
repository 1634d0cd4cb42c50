import tomllib
from pathlib import Path

from cli.configuration import OTHER_VARIABLES, load
from cli.settings_table import rows

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_has_exactly_the_settings_that_there_are():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith(("| flag", "| `--"))]
    assert lines == [row for row in rows() if not row.startswith("|---")]


def test_the_page_names_every_other_variable():
    page = PAGE.read_text()
    assert [name for name in sorted(OTHER_VARIABLES) if f"| `{name}` |" not in page] == []


def test_the_file_on_the_page_is_taken(tmp_path, monkeypatch):
    example = PAGE.read_text().split("```toml\n")[1].split("```")[0]
    file = tmp_path / "pabal.toml"
    file.write_text(example)
    monkeypatch.delenv("PABAL_CONFIG", raising=False)
    settings = load(config=str(file)).settings
    assert str(settings.data) == tomllib.loads(example)["data"]
    assert settings.plugins == {"acme.audit.AuditPlugin": {"level": 2}}
