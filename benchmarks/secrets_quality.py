"""Found and wrongly found secrets: ours beside detect-secrets, on planted keys and on files as they are.

Enters: files of code and prose of the standard library, the installed packages and the folder that LOOPDATA_SOURCES
names. Leaves: of 500 secrets of 20 kinds, planted half in code and half in prose, how many each finds; and how often
each hits in 1,000 other files that nobody touched. The secrets are made from a seed at run time. A secret counts as
found where it is gone from our text, or where detect-secrets, with its default plugins and filters, reports its line.
Run by `python -m benchmarks.secrets_quality [--save] [--show]`; `--show` prints the place of each of our hits, to be
read by eye. Limit: detect-secrets has no rule for e-mail addresses, so our hits on them are counted apart.
"""

import base64
import contextlib
import json
import os
import random
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings

from benchmarks.harness import input_hash, report
from loopdata.cleaning.secrets import Secrets
from tests.cleaning.made_keys import RECIPES, draw, make, password, pem

PLANTED, UNTOUCHED = 500, 1_000
MAX_BYTES = 200_000
CODE = {
    ".py": "#",
    ".js": "//",
    ".ts": "//",
    ".go": "//",
    ".java": "//",
    ".rb": "#",
    ".c": "//",
    ".sh": "#",
    ".php": "//",
}
PROSE = (".md", ".rst", ".txt")
KINDS = (
    *("aws_access_key", "gcp_api_key", "azure_shared_key", "github_token", "gitlab_token", "slack_token"),
    *("stripe_key", "twilio_key", "sendgrid_key", "npm_token", "pypi_token", "openai_key", "anthropic_key"),
    *("huggingface_token", "json_web_token", "telegram_token", "private_key", "url_password", "password", "api_secret"),
)
# As long as they usually are, where the recipes of the tests are the shortest there can be.
USUAL = RECIPES | {
    "anthropic_key": "sk-ant-api03-{w93}AA",
    "pypi_token": "pypi-AgEIcHlwaS5vcmc{w150}",
    "sendgrid_key": "SG.{w22}.{w43}",
    "slack_token": "xoxb-{d12}-{d13}-{a24}",
    "stripe_key": "sk_live_{a24}",
    "telegram_token": "{d10}:AA{w33}",
}
# Around a key whose shape says what it is; a name says no more than code does.
IN_CODE = ('value = "{}"', "{comment} {}", "client = connect('{}')", 'config["credentials"] = "{}"', 'return "{}"')
IN_PROSE = ("Use {} for the test server.", "Run it with `{}`.", "- value: {}", "    export VALUE={}", "It was {}.")
# Around a value that only its name makes a secret.
NAMED = {
    "password": (
        ('password = "{}"', "db.connect(user, password='{}')", '"password": "{}",', "{comment} password: {}"),
        ("The password is {}.", "Log in with password `{}`.", "    DB_PASSWORD={}", "password: {}"),
    ),
    "api_secret": (
        ('api_key = "{}"', "client_secret: '{}',", 'headers = {{"X-Auth-Token": "{}"}}', 'SECRET_KEY = "{}"'),
        ("The API key is {}.", "    export API_TOKEN={}", "client_secret: {}", 'Set `secret_key = "{}"` first.'),
    ),
}


class Planted(NamedTuple):
    kind: str
    place: str  # code or prose
    name: str  # of the file
    text: str
    line: int  # of the secret, from 1
    parts: tuple[str, ...]  # each must be gone


def real_files(needed: int) -> dict[str, list[tuple[str, str]]]:
    """Name and text of so many files each of code and of prose, drawn by a fixed seed."""
    paths = sysconfig.get_paths()
    roots = [Path(root) for root in (paths["stdlib"], paths["purelib"], os.environ.get("LOOPDATA_SOURCES")) if root]
    every = sorted({path for root in roots for path in root.rglob("*") if path.suffix in {*CODE, *PROSE}})
    random.Random(17).shuffle(every)
    found: dict[str, list[tuple[str, str]]] = {"code": [], "prose": []}
    for path in every:
        files = found["prose" if path.suffix in PROSE else "code"]
        if len(files) < needed and path.is_file() and 200 <= path.stat().st_size <= MAX_BYTES:
            with contextlib.suppress(UnicodeDecodeError):
                files.append((str(path), path.read_bytes().decode()))
    return found


def secret(kind: str, rng: random.Random) -> str:
    """A secret of one kind."""
    if kind == "private_key":
        return pem(rng, rng.choice(("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY")))
    if kind == "url_password":
        return f"{rng.choice(('postgres', 'https', 'amqp'))}://app:{draw('a', 14, rng)}@db.uni-mainz.de/app"
    if kind == "password":
        return password(rng)
    if kind == "json_web_token":
        claims = {"sub": draw("d", 10, rng), "iat": 1_700_000_000 + rng.randrange(10**7)}
        return ".".join([base64url({"alg": "HS256", "typ": "JWT"}), base64url(claims), draw("w", 43, rng)])
    return draw("a", 32, rng) if kind == "api_secret" else make(USUAL[kind], rng)


def base64url(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def plant(kind: str, place: str, name: str, text: str, rng: random.Random) -> Planted:
    """The text with a line, or a few, that hold a secret, at the indentation of the line before."""
    value = secret(kind, rng)
    template = rng.choice(NAMED.get(kind, (IN_CODE, IN_PROSE))[place == "prose"]).replace(
        "{comment}", CODE.get(Path(name).suffix, "#")
    )
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())] if place == "code" else ""
    new = (
        [f'{indent}KEY = """', *value.split("\n"), '"""']
        if kind == "private_key"
        else [indent + template.format(value)]
    )
    text = "\n".join([*lines[:at], *new, *lines[at:]])
    return Planted(kind, place, name, text, at + 1 + (len(new) > 1), needles(kind, value))


def needles(kind: str, value: str) -> tuple[str, ...]:
    """The pieces of a secret none of which may be left."""
    if kind == "private_key":
        return tuple(value.split("\n")[1:-1])
    if kind == "url_password":
        return (value.split(":")[2].split("@")[0],)
    return (value.removeprefix("AccountKey="),)


def planted(files: dict[str, list[tuple[str, str]]]) -> list[Planted]:
    """Each kind as often, in code and prose by turns, each in a file of its own."""
    rng = random.Random(29)
    result = []
    for number in range(PLANTED):
        place = ("code", "prose")[number // len(KINDS) % 2]
        name, text = files[place].pop()
        result.append(plant(KINDS[number % len(KINDS)], place, name, text, rng))
    return result


def ours_left(stage: Secrets, text: str) -> str:
    """The text without what we find."""
    data, pieces, at = text.encode(), [], 0
    for finding in stage.find(data):
        pieces.append(data[at : finding.start])
        at = finding.end
    return b"".join([*pieces, data[at:]]).decode()


def theirs(files: list[tuple[str, str]]) -> Iterator[set[int]]:
    """Lines that detect-secrets reports, a file."""
    with tempfile.TemporaryDirectory() as folder, default_settings():
        for name, text in files:
            path = Path(folder) / Path(name).name
            path.write_text(text)
            found = SecretsCollection()
            found.scan_file(str(path))
            yield {item.line_number for _, item in found}


def by_place(found: list[bool], secrets: list[Planted]) -> dict[str, str]:
    total = Counter(item.place for item in secrets)
    hits = Counter(item.place for item, is_found in zip(secrets, found, strict=True) if is_found)
    return {place: f"{hits[place]} of {total[place]}" for place in total}


def missed_kinds(found: list[bool], secrets: list[Planted]) -> dict[str, int]:
    return dict(Counter(item.kind for item, is_found in zip(secrets, found, strict=True) if not is_found))


def main() -> None:
    files, stage = real_files((PLANTED + UNTOUCHED) // 2 + len(KINDS)), Secrets()
    secrets = planted(files)
    ours = [not any(part in left for part in item.parts) for item in secrets for left in (ours_left(stage, item.text),)]
    peer = [
        item.line in lines
        for item, lines in zip(secrets, theirs([(item.name, item.text) for item in secrets]), strict=True)
    ]
    rest = [file for place in ("code", "prose") for file in files[place][: UNTOUCHED // 2]]
    hits: Counter[str] = Counter()
    for name, text in rest:
        for finding in stage.find(text.encode(), name):
            hits[finding.rule] += 1
            if "--show" in sys.argv:
                print(f"{finding.rule} {name}:{text.encode()[: finding.start].count(10) + 1}")
    peer_hits = sum(len(lines) for lines in theirs(rest))
    addresses = sum(hits[rule] for rule in ("email", "ipv4_address", "ipv6_address"))
    figures = {
        "planted": len(secrets),
        "found": {"ours": sum(ours), "detect_secrets": sum(peer)},
        "found_by_place": {"ours": by_place(ours, secrets), "detect_secrets": by_place(peer, secrets)},
        "missed": {"ours": missed_kinds(ours, secrets), "detect_secrets": missed_kinds(peer, secrets)},
        "untouched_files": len(rest),
        "hits_in_untouched": {"ours": dict(hits), "detect_secrets": peer_hits},
        "hits_in_untouched_but_addresses": sum(hits.values()) - addresses,
    }
    inputs = input_hash(*(item.text for item in secrets), *(text for _, text in rest))
    report(
        "secrets_quality", {"detect_secrets": sum(ours) / sum(peer)}, figures, inputs, ["google-re2", "detect-secrets"]
    )


if __name__ == "__main__":
    main()
