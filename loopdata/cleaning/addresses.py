"""E-mail and IP addresses that can be somebody's.

Enters: the bytes of a text. Leaves: findings. An e-mail address has a top-level domain that is in use, and is none of
those that people write as examples (RFC 2606) or that are no person's (`git@`, `noreply@`). An IPv4 address is four
numbers that are no version, no network and no known resolver, outside the ranges for private and local use and for
documentation (RFC 6890, RFC 5737); an IPv6 address is global unicast (2000::/3) outside 2001::/23 and 2001:db8::/32.
Limit: four numbers below 32 each are an address only where a word or a sign beside them says so, and never where all
are below 10.
"""

from collections.abc import Collection, Iterator
from ipaddress import AddressValueError, IPv6Address, IPv6Network

from loopdata.cleaning.patterns import Sought, compiled
from loopdata.cleaning.placeholders import Family, Finding

MAX_LOCAL, MAX_DOMAIN = 64, 253  # RFC 5321
# Two letters are a country; of the longer ones those with many registrations, so that `a@b.shape` is none.
_COUNTRIES = """ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz
ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd
ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki
km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz
na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh
si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg
vi vn vu wf ws ye yt za zm zw"""
_GENERIC = """academy aero agency app art asia berlin biz blog build cafe care cat center chat church city click cloud
club codes coffee com community company computer consulting coop cool dance design dev digital directory earth edu
education email energy engineer engineering enterprises eus events expert family fans farm finance foundation fun fund
fyi gal games global gmbh gov group guru health help homes host hosting house inc info ink institute int international
jobs land law legal life link live lol london love ltd market marketing media mil mobi money moscow museum name network
news ninja nyc one online org page paris partners party photo photography photos pictures pizza plus press pro
properties pub pw quest radio realty rest reviews rocks run sale school science scot services shop show site ski social
software solutions space store studio style supply support swiss systems team tech technology tel tips today tokyo tools
top town toys trade training travel university vip vision watch website wien wiki win work works world wtf xyz yoga
zone"""
TOP_LEVEL = frozenset(_COUNTRIES.encode().split()) | frozenset(_GENERIC.encode().split())
_SECOND_LEVEL = frozenset(b"ac co com edu gov ne net or org".split())
# A label that people write where the domain of somebody should stand.
_EXAMPLE_LABELS = frozenset(
    b"""example examples foo bar baz foobar foo-bar test testing tests sample demo domain mydomain yourdomain
    your-domain my-domain some-domain somedomain otherdomain anotherdomain company mycompany yourcompany your-company
    organization myorg yourorg acme corp server host hostname myhost somehost otherhost site mysite yoursite website
    email address provider somewhere elsewhere there here nowhere xxx xyz abc abcd whatever something fake dummy
    placeholder blah nobody user username place localhost""".split()
)
_EMAIL = Sought(
    b"@",
    compiled(
        rb"[A-Za-z0-9][A-Za-z0-9._%+'-]*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
    ),
)
_USER_INFO = compiled(rb"://[^\s/@\"'<>]*$")
_IPV4 = compiled(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3,}")
_IPV6 = compiled(rb"\b[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,}[0-9A-Fa-f:](?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?")
_IPV6_RESERVED = (IPv6Network("2001::/23"), IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))
_VERSION = compiled(
    rb"(?i)(?:version|release|revision|build|upgrade|oid|[<>=~]=|[~^]|\bv(?:er)?\.?|[a-z]/|[-_])[\"'`:= (]*$"
)
_ADDRESS = compiled(
    rb"(?i)(?:\bip(?:v4)?|addr(?:ess)?|host|server|gateway|proxy|dns|ping|peer|remote|client|://|@)[^\n]{0,12}$"
)
_BESIDE = 24  # bytes before an address that are asked what it is
_SMALL = 32
# Resolvers that everybody names, and numbers that count.
_PUBLIC = frozenset(
    b"8.8.4.4 8.8.8.8 9.9.9.10 11.22.33.44 12.34.56.78 123.45.67.89 208.67.220.220 208.67.222.222".split()
)


def find_emails(text: bytes, exempt: Collection[bytes]) -> Iterator[Finding]:
    """E-mail addresses. `exempt`, in lower case: `domain.org` and all below it, `name@` anywhere, whole addresses."""
    for match in _EMAIL.finditer(text):
        start, end = match.span()
        if end - start > MAX_LOCAL + 1 + MAX_DOMAIN or _USER_INFO.search(text[max(0, start - 100) : start]):
            continue
        if _is_somebodys(text[start:end].lower(), exempt):
            yield Finding(start, end, "email", Family.EMAIL)


def _is_somebodys(address: bytes, exempt: Collection[bytes]) -> bool:
    local, _, domain = address.partition(b"@")
    labels = domain.split(b".")
    if len(local) > MAX_LOCAL or b".." in local or b"example" in address or labels[-1] not in TOP_LEVEL:
        return False
    if len(labels[-2]) == 1 or _registered(labels) in _EXAMPLE_LABELS:
        return False
    tails = (b".".join(labels[at:]) for at in range(len(labels)))
    return address not in exempt and local + b"@" not in exempt and not any(tail in exempt for tail in tails)


def _registered(labels: list[bytes]) -> bytes:
    """The label that somebody registered: before the top level, or before `co.uk` and the like."""
    return labels[-3] if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else labels[-2]


def find_ip_addresses(text: bytes) -> Iterator[Finding]:
    """Addresses of both versions."""
    for match in _IPV4.finditer(text):
        start, end = match.span()
        if end - start <= 15 and _stands_alone(text, start, end) and _is_hosts_ipv4(text, start, end):
            yield Finding(start, end, "ipv4_address", Family.IP_ADDRESS)
    for match in _IPV6.finditer(text):
        start, end = match.span()
        if end - start <= 45 and _stands_alone(text, start, end) and _is_hosts_ipv6(text[start:end]):
            yield Finding(start, end, "ipv6_address", Family.IP_ADDRESS)


def _stands_alone(text: bytes, start: int, end: int) -> bool:
    """Whether no name, number or dotted sequence goes on at either side; the full stop of a sentence may."""
    before, after = text[max(0, start - 1) : start], text[end : end + 2]
    if before.isalnum() or before in (b".", b"_", b":", b"-"):
        return False
    return not (after[:1].isalnum() or after[:1] in (b"_",) or (after[:1] in (b".", b"-") and after[1:].isalnum()))


def _is_hosts_ipv4(text: bytes, start: int, end: int) -> bool:
    value = text[start:end]
    numbers = [int(part) for part in value.split(b".")]
    if len(numbers) != 4 or max(numbers) > 255 or b".".join(b"%d" % number for number in numbers) != value:
        return False
    if _is_special(numbers) or max(numbers) < 10 or len(set(numbers)) == 1 or value in _PUBLIC:
        return False
    before = text[max(0, start - _BESIDE) : start]
    if _VERSION.search(before) is not None:
        return False
    return max(numbers) >= _SMALL or _ADDRESS.search(before) is not None


def _is_special(numbers: list[int]) -> bool:
    """Private, local, shared, for documentation or benchmarks, multicast, reserved; and networks, which end with 0."""
    a, b, c, d = numbers
    if a in (0, 10, 127) or a >= 224 or d in (0, 255):
        return True
    if (a, b) in ((192, 168), (169, 254), (198, 18), (198, 19)) or (a, b, c) in ((192, 0, 0), (192, 0, 2)):
        return True
    return (a == 172 and 16 <= b < 32) or (a == 100 and 64 <= b < 128) or (a, b, c) in ((198, 51, 100), (203, 0, 113))


def _is_hosts_ipv6(value: bytes) -> bool:
    try:
        address = IPv6Address(value.decode("ascii"))
    except AddressValueError:
        return False
    return not any(address in network for network in _IPV6_RESERVED) and value.count(b":") >= 3
