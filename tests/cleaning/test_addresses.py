"""E-mail and IP addresses: those of somebody, and those of nobody."""

import pytest

from loopdata.cleaning.addresses import find_emails, find_ip_addresses


def emails(text: str, *exempt: str) -> list[str]:
    data = text.encode()
    return [data[found.start : found.end].decode() for found in find_emails(data, {e.encode() for e in exempt})]


def addresses(text: str) -> list[str]:
    data = text.encode()
    return [data[found.start : found.end].decode() for found in find_ip_addresses(data)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Jane Roe <jane.roe@uni-mainz.de>", "jane.roe@uni-mainz.de"),
        ("mailto:jane+list@mail.kernel.org?subject=x", "jane+list@mail.kernel.org"),
        ("write to j_r@sub.kernel.co.uk.", "j_r@sub.kernel.co.uk"),
        ('"JANE@KERNEL.ORG"', "JANE@KERNEL.ORG"),
        ("Ähm, jane@kernel.org", "jane@kernel.org"),
    ],
)
def test_an_address_with_a_domain_in_use(text: str, found: str) -> None:
    assert emails(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        "@decorator\ndef f(): ...",
        "@pytest.fixture",
        "x = a@b.shape",
        "icon@2x.png",
        "jane@example.com",
        "jane@mail.example.org",
        "jane@host.test",
        "root@localhost",
        "foo@bar.com",
        "exampleuser@kernel.org",
        "you@yourdomain.com",
        "a@b.co",
        "lodash@4.17.21",
        "https://user@kernel.org/x",
        "ssh://git:x@kernel.org/x",
        "jane..roe@kernel.org",
        "jane@kernel",
    ],
)
def test_decorators_versions_examples_and_user_names_of_urls_are_none(text: str) -> None:
    assert emails(text) == []


def test_a_local_part_has_64_characters_at_most() -> None:
    assert emails("a" * 64 + "@kernel.org") == ["a" * 64 + "@kernel.org"]
    assert emails("a" * 65 + "@kernel.org") == []


def test_exempt_domains_names_and_addresses() -> None:
    text = "a1@kernel.org b1@lists.kernel.org noreply@gnu.org c1@gnu.org"
    assert emails(text, "kernel.org") == ["noreply@gnu.org", "c1@gnu.org"]
    assert emails(text, "noreply@") == ["a1@kernel.org", "b1@lists.kernel.org", "c1@gnu.org"]
    assert emails(text, "c1@gnu.org") == ["a1@kernel.org", "b1@lists.kernel.org", "noreply@gnu.org"]
    assert emails("x1@mykernel.org", "kernel.org") == ["x1@mykernel.org"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("server 52.31.118.7 is down", "52.31.118.7"),
        ("ssh root@93.184.215.14", "93.184.215.14"),
        ("http://93.184.215.14:8080/", "93.184.215.14"),
        ("It is 93.184.215.14.", "93.184.215.14"),
        ("host = '12.7.9.31'", "12.7.9.31"),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"),
        ("[2a00:1450:4001:81b::200e]:443", "2a00:1450:4001:81b::200e"),
    ],
)
def test_an_address_of_a_host(text: str, found: str) -> None:
    assert addresses(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        "version 52.31.118.7",
        "v52.31.118.7",
        "Chrome/52.31.118.7",
        "numpy==52.31.118.7",
        "x.52.31.118.7.y",
        "52.31.118.7.9",
        "52.31.118",
        "52.31.118.256",
        "52.031.118.7",
        "12.7.9.31 and no more",
        "127.0.0.1 10.1.2.3 172.16.5.4 172.31.255.254 192.168.1.1 169.254.1.1 100.64.1.1",
        "192.0.2.44 198.51.100.7 203.0.113.9 198.18.0.1",
        "224.0.0.251 240.1.1.1 255.255.255.255 0.0.0.1",
        "52.31.118.0 52.31.118.255",
        "8.8.8.8 1.1.1.1 1.2.3.4 125.125.125.125",
        "::1 fe80::1 fd00::1 ff02::1 2001:db8::1 2001::1 3fff::1",
        "std::vector::iterator 12:34:56 2024:10:11 00:1b:44:11:3a:b7",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c:1",
    ],
)
def test_versions_networks_and_reserved_ranges_are_none(text: str) -> None:
    assert addresses(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ip 172.15.0.1", ["172.15.0.1"]),
        ("ip 172.16.0.1", []),
        ("ip 172.31.0.1", []),
        ("ip 172.32.0.1", ["172.32.0.1"]),
        ("ip 100.63.0.1", ["100.63.0.1"]),
        ("ip 100.128.0.1", ["100.128.0.1"]),
        ("ip 223.1.1.2", ["223.1.1.2"]),
        ("at 31.31.31.30", []),
        ("at 31.31.31.32", ["31.31.31.32"]),
    ],
)
def test_bounds_of_ranges(text: str, found: list[str]) -> None:
    assert addresses(text) == found
