"""Private key blocks, whole, in strings, cut off; and marks without a key."""

import random

import pytest

from loopdata.cleaning.private_keys import find_private_keys
from tests.cleaning.made_keys import draw, pem

KINDS = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]  # fmt: skip # noqa: E501
DASHES = "-" * 5


def spans(text: str) -> list[str]:
    data = text.encode()
    return [data[found.start : found.end].decode() for found in find_private_keys(data)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_is_found_from_mark_to_mark(kind: str) -> None:
    block = pem(random.Random(1), kind)
    assert spans(f"x\n{block}\ny\n{block}\n") == [block, block]


def test_a_block_on_one_line_of_json() -> None:
    block = pem(random.Random(1), "PRIVATE KEY", newline="\\n")
    assert spans(f'{{"private_key": "{block}\\n"}}') == [block]


def test_a_block_of_joined_strings_or_comment_lines() -> None:
    for newline in ('\\n"\n    "', "\\n' +\n  '", "\n# ", "\n// ", "\n * ", "\n    "):
        block = pem(random.Random(1), newline=newline)
        assert spans(f'key = "{block}";') == [block]


def test_headers_of_pem_and_pgp_belong_to_it() -> None:
    headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB12\n\n"
    block = pem(random.Random(1)).replace("-----\n", f"-----\n{headers}", 1)
    assert spans(block) == [block]
    block = pem(random.Random(1), "PGP PRIVATE KEY BLOCK").replace("-----\n", "-----\nVersion: GnuPG v2\n\n", 1)
    assert spans(block) == [block]


def test_a_block_that_was_cut_off_is_found_to_its_last_line() -> None:
    block = pem(random.Random(1))
    cut = block[: block.rindex("\n")]
    assert spans(f"{cut}\n\nAnd so on.\n") == [cut]


def test_marks_without_a_key_are_none() -> None:
    begin, end = f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}", f"{DASHES}END RSA PRIVATE KEY{DASHES}"
    assert spans(f'if line == "{begin}":\n    return parse(lines)\nif line == "{end}":\n    return None\n') == []
    assert spans(f"{begin}\n...\n{end}") == []
    assert spans(pem(random.Random(1)).replace("-----\n", "-----\nEXAMPLE", 1)) == []
    assert spans(pem(random.Random(1), "PUBLIC KEY")) == []
    assert spans(pem(random.Random(1), "CERTIFICATE")) == []


def test_a_key_has_forty_characters() -> None:
    for length, count in ((40, 1), (39, 0)):
        body = draw("a", length, random.Random(1))
        assert len(spans(f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n{body}\n{DASHES}END PRIVATE KEY{DASHES}")) == count


def test_a_key_of_putty() -> None:
    lines = "\n".join(draw("b", 64, random.Random(seed)) for seed in range(3))
    assert spans(f"Private-Lines: 3\n{lines}\nPrivate-MAC: 12\n") == [f"Private-Lines: 3\n{lines}"]


@pytest.mark.parametrize("size", [16_000, 16_300, 16_384, 16_400, 40_000])
def test_of_a_long_block_nothing_stays(size: int) -> None:
    lines = "\n".join(draw("a", 64, random.Random(1)) for _ in range(size // 65))
    block = f"{DASHES}BEGIN PGP PRIVATE KEY BLOCK{DASHES}\n\n{lines}\n{DASHES}END PGP PRIVATE KEY BLOCK{DASHES}"
    assert spans(f"x\n{block}\ny\n") == [block]
    assert spans(f"x\n{block.partition(f'{DASHES}END')[0]}\ny\n") == [block.partition(f"\n{DASHES}END")[0]]
