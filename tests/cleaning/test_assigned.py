"""Secrets by the names that they are given: hits, near misses, boundaries."""

import random

import pytest

from loopdata.cleaning.assigned import find_assigned, find_url_passwords
from tests.cleaning.made_keys import draw, password

KEY = draw("a", 20, random.Random(1))
PASSWORD = password(random.Random(2))
PLAIN = draw("a", 12, random.Random(3))


def values(text: str) -> list[str]:
    data = text.encode()
    return [data[found.start : found.end].decode() for found in (*find_url_passwords(data), *find_assigned(data))]


@pytest.mark.parametrize(
    "text",
    [
        f"password = '{PASSWORD}'",
        f'const char *password = "{PASSWORD}";',
        f'let apiKey: String = "{KEY}"',
        f"token: str = '{KEY}'",
        f'password := "{PASSWORD}"',
        f"'password' => '{PASSWORD}',",
        f'"client_secret": "{KEY}",',
        f'os.environ["API_KEY"] = "{KEY}"',
        f'setPassword("{PASSWORD}");',
        f"define('DB_PASSWORD', '{PASSWORD}');",
        f'if (token === "{KEY}") {{',
        f'connect(user="x", password=b"{PASSWORD}")',
        f'{{"name": "DB_PASSWORD", "value": "{PASSWORD}"}}',
        f'<add key="ClientSecret" value="{KEY}"/>',
        f"<password>{KEY}</password>",
        f'{{\\"password\\": \\"{PASSWORD}\\"}}',
        f'pw: "{PASSWORD}"',
        f"CREATE USER a IDENTIFIED BY PASSWORD '{KEY}'",
    ],
)
def test_a_value_in_quotes_that_a_name_says_is_secret(text: str) -> None:
    assert values(text) in ([KEY], [PASSWORD])


@pytest.mark.parametrize(
    "text",
    [
        f"DB_PASSWORD={PLAIN}\n",
        f"export GITHUB_TOKEN={KEY}",
        f"password: {PLAIN}\n",
        f"--token={KEY} --verbose",
        f"Server=db;Uid=app;Pwd={PLAIN};",
        f"//registry.npmjs.org/:_authToken={KEY}",
        f"Authorization: Bearer {KEY}",
        f"curl -H 'Authorization: Bearer {KEY}'",
        f"The password for staging is {PLAIN}.",
        f"my api key is `{KEY}`, keep it",
        f"the secret key: {KEY}",
        f"- name: TOKEN\n  value: {KEY}\n",
        f"| password | {PLAIN} |",
        f"**Password:** {PLAIN}",
        f"The admin password ({PLAIN}) works.",
        f"password of the server: {PLAIN}",
        f"curl -u admin:{PLAIN} https://kernel.org/",
        f"machine x login y password {PLAIN}\n",
    ],
)
def test_a_value_that_stands_free_is_found_without_the_full_stop(text: str) -> None:
    assert values(text) in ([KEY], [PLAIN])


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['DB_PASSWORD']",
        'token = "your-token-here"',
        "password = 'password'",
        'password: "${DB_PASSWORD}"',
        'password = "{{ vault_password }}"',
        'secret = "<client-secret>"',
        'token = "%s"',
        "api_key = settings.API_KEY",
        "token = self.lexer.next_token()",
        "const token = await getToken(request, options);",
        'token_type = "authorization_code"',
        'secret_name = "production/database/primary"',
        "password_field = driver.find_element('login-password')",
        'PASSWORD_PATTERN = "^[A-Za-z0-9]{8,}$"',
        'token = "aaaaaaaaaaaaaaaaaaaa"',
        'password = "1234567890"',
        "password=test1234",
        'token = "123e4567-e89b-12d3-a456-426614174000"',
        'tokenizer = AutoTokenizer.from_pretrained("QKVZ-XLNT/EXQ4-32B")',
        'token_header = "HTTP_X_QRSFTKN"',
        '"NextToken": "q7Xk2ZvP9wLr4TnB8sYd"',
        "The token is separated by whitespace and punctuation.",
        "Enter the password that you chose during installation.",
        f"sha256 token: {'0123456789abcdef' * 4}",
    ],
)
def test_expressions_placeholders_names_and_prose_are_no_secrets(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize("word", ["sha256", "integrity", "checksum", "commit", "password_hash"])
def test_lines_that_speak_of_hashes_are_left_alone(word: str) -> None:
    value = draw("h", 40, random.Random(4))
    assert values(f'{word} token="{value}"') == []
    assert values(f'{word}\ntoken="{value}"') == [value]


def test_a_table_of_hashes_holds_no_secrets() -> None:
    rng = random.Random(5)
    rows = [f'    "{name}": "{draw("h", 16, rng)}",\n' for name in ("Bucket", "Queue", "AccessKey", "Topic", "Role")]
    assert values("".join(rows)) == []
    assert len(values("".join(rows[:4]))) == 1


def test_a_value_has_eight_characters() -> None:
    value = "k7Xq9Zv2"
    assert values(f'password = "{value}"') == [value]
    assert values(f'password = "{value[:-1]}"') == []


def test_a_password_of_three_kinds_of_character_needs_no_randomness() -> None:
    assert values('password = "Sommer2024!"') == ["Sommer2024!"]
    assert values('token = "Sommer2024!"') == []
    assert values('password = "sommerzeit"') == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (f"postgres://app:{PLAIN}@db.internal:5432/app", [PLAIN]),
        (f"see https://bot:{PLAIN}@git.company.com/x.git for it", [PLAIN]),
        (f"redis://:{PLAIN}@cache/0", [PLAIN]),
        ("amqp://guest:guest@localhost", []),
        ("postgres://user:password@localhost/db", []),
        ("postgres://$USER:$PASSWORD@localhost/db", []),
        ("http://user:${PASSWORD}@host", []),
        (f"http://localhost:8080/{PLAIN}@x", []),
    ],
)
def test_passwords_in_urls(url: str, found: list[str]) -> None:
    assert values(url) == found


def long_value(size: int) -> str:
    return draw("a", size, random.Random(4))


@pytest.mark.parametrize("size", [255, 256, 257, 1_000])
def test_of_a_long_secret_nothing_stays(size: int) -> None:
    assert values(f"API_TOKEN={long_value(size)}\n") == [long_value(size)]
    assert values(f"curl -u bob:{long_value(size)}\n") == [long_value(size)]


@pytest.mark.parametrize(("size", "found"), [(255, 1), (256, 1), (4_095, 1), (4_096, 0)])
def test_a_quote_is_closed_within_four_kilobytes(size: int, found: int) -> None:
    value = random.Random(4).choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=size)
    assert values(f'api_token = "{"".join(value)}"\n') == ["".join(value)] * found


@pytest.mark.parametrize("size", [254, 255, 256])
def test_no_character_is_cut_where_a_long_secret_is_judged(size: int) -> None:
    assert values(f"API_TOKEN={long_value(size)}é\n") == [f"{long_value(size)}é"]
    assert values(f"curl -u bob:{long_value(size)}é\n") == [f"{long_value(size)}é"]
