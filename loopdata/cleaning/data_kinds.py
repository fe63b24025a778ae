"""Which files are data, and of what shape: whether somebody wrote them, or a program their thousands.

Enters: path, language and text of a JSON, YAML, XML, CSV, TSV, SQL, SVG or Gettext file. Leaves: whether it is data and
not configuration (that is code), and a name of its shape, which is equal for files with the same keys, tags or columns.
Names and keys decide; nothing is executed, XML is read by patterns, so that no entity is ever expanded. Limit: data
that look like configuration stay: YAML is data only where it is a long list or table, or lies in a folder of data.
"""

import json
import re
from collections.abc import Callable

from loopdata import schema

TABLES = frozenset({"CSV", "TSV"})
_JSON_LINES = (".jsonl", ".ndjson")
_HEAD = 65_536  # characters that are enough to tell a shape
_NAMES_OF_SHAPE = 64

# Files of tools, by name. Hidden ones (`.eslintrc.json`) are all of this kind.
_CONFIG_NAMES = re.compile(
    r"""(?x)
    \..*
    | (?:package|composer|bower|component|manifest|lerna|nx|turbo|angular|nest-cli|vercel|now|netlify|firebase|deno|
       jsr|biome|renovate|dependabot|global|vcpkg|project|library|module|plugin|extension|addon|app|settings|tasks|
       launch|extensions|devcontainer|cdk|sam|serverless|template|swagger|openapi|asyncapi|schema|info|metadata|
       docfx|karma|webpack|rollup|vite|babel|jest|mocha|cypress|playwright|protractor|nodemon|pm2|bundlesize|
       components|workspace|tslint|jsconfig|tsconfig|haxelib|dub|elm|elm-package|gulpfile|shadow-cljs|typedoc|typings)
      (?:[-_.]\w+)?\.json
    | .*(?:config|conf|settings|options|preset|presets|schema|rc|theme|snippets|manifest|tsconfig|eslintrc)\.json
    | appsettings.*\.json | CMakePresets\.json | CMakeSettings\.json | contents\.json
    | (?:pom|build|ivy|web|persistence|beans|log4j2?|logback|AndroidManifest|packages|nuget|phpunit|plugin|module|
       checkstyle|pmd|findbugs|assembly|settings|feature|toolchains|config|psalm|phpcs)(?:[-_.]\w++)*\.xml
    | .*(?:config|settings|ruleset|context|servlet|metainfo|appdata)\.xml
    """,
    re.IGNORECASE,
)
_LOCKS = re.compile(r"(?:.*[-.])?lock(?:\.(?:json|ya?ml))?|npm-shrinkwrap\.json", re.IGNORECASE)
_CONFIG_FOLDERS = re.compile(r"(?:^|/)(?:\.[\w-]+|config|configs|conf|snippets|META-INF|WEB-INF)/", re.IGNORECASE)
_DATA_FOLDERS = re.compile(
    r"(?:^|/)(?:data|datasets?|fixtures?|test[-_]?data|testdata|cassettes|locales?|i18n|l10n|translations?|lang|langs|languages"
    r"|snapshots?|__snapshots__|samples?|corpus|corpora|dumps?|messages)/",
    re.IGNORECASE,
)
_JSON_CONFIG = re.compile(
    r'\A\s*\{.{0,2000}?"(?:(?:\$schema|openapi|swagger|asyncapi|compilerOptions|jupyter\.lab[\w.-]*)"\s*:'
    r'|type"\s*:\s*"object")',
    re.DOTALL,
)
# What else is JSON or XML (`.csproj`, `.xaml`, `.aml`, `.storyboard`) was written for a tool.
_JSON_DATA = (".json", ".jsonl", ".ndjson", ".geojson", ".topojson", ".har", ".map")
_XML_DATA = (".xml", ".rss", ".atom", ".rdf", ".resx", ".kml", ".gpx", ".gml", ".osm")
_TEMPLATE = re.compile(r"\{%|\{\{|<%|<\?php")
_XML_ROOT = re.compile(r"<(?![?!])([A-Za-z_][\w:.-]*)([^>]{0,2000})")
_XML_CODE_ROOTS = re.compile(
    r"(?:project|web-app|beans|configuration|Configuration|manifest|resources|plist|package|persistence|mapper|module"
    r"|component|application|ivy-module|assembly|settings|ruleset|checkstyle|suite|phpunit|target|menu|selector|shape"
    r"|vector|layer-list|set|stylesheet|transform|schema|definitions|grammar|hibernate-mapping|sqlMap|faces-config"
    r"|taglib|extension|plugin|odoo|openerp|language|Window|UserControl|Page|ResourceDictionary|interface|ui|node)"
)
_XML_CODE_SPACES = re.compile(
    r"xmlns:(?:android|x|xsl|xs|xsd|fx|mc)=|schemas\.microsoft\.com/winfx|/XSL/|XMLSchema[\"']"
)
_YAML_ENTRY = re.compile(r"(?m)^- ")
_YAML_KEY = re.compile(r"(?m)^(?:- )?[\"']?([\w.$/-][\w.$/ -]{0,59}?)[\"']?[ \t]*:(?:[ \t]|$)")
_MANY_ENTRIES, _MANY_KEYS, _MANY_ROWS = 200, 300, 50
_ROW = re.compile(
    r"(?mi)^(?:insert[ \t]+(?:ignore[ \t]+)?into\b|replace[ \t]+into\b|[ \t]*\(.*\)[,;][ \t]*$"
    r"|[^\t\n;]*\t[^\t\n]*\t).*$"
)
_TABLE_NAME = re.compile(r"(?i)\b(?:into|copy|table) +(?:if not exists )?([\w.`\"\[\]]{1,60})")
_TAG = re.compile(r"<([A-Za-z_][\w:.-]{0,60})")


def is_data(path: str, language: str, text: str) -> bool:
    """Whether a file of a language that holds data is data, and not the configuration of something."""
    decide = _DECIDERS.get(language)
    return decide is not None and decide(path, text)


def is_lines(path: str, language: str) -> bool:
    """Whether each line of a data file is a record, so that its head is one as well."""
    return language in TABLES or path.lower().endswith(_JSON_LINES)


def shape(language: str, text: str) -> str:
    """A name that files with the same keys, tags or columns share."""
    names = _SHAPES[language](text[:_HEAD] if language != "JSON" else text)
    return schema.digest(language, *names[:_NAMES_OF_SHAPE])


def _always(path: str, text: str) -> bool:
    return True


def _by_name(path: str) -> bool | None:
    """What name and folder say; the nearer one of two folders speaks."""
    name = path.rpartition("/")[2]
    if _LOCKS.fullmatch(name):
        return True
    if _CONFIG_NAMES.fullmatch(name):
        return False
    config = max((found.end() for found in _CONFIG_FOLDERS.finditer(path)), default=-1)
    data = max((found.end() for found in _DATA_FOLDERS.finditer(path)), default=-1)
    return None if config == data else data > config


def _json_is_data(path: str, text: str) -> bool:
    said = _by_name(path)
    if said is not None:
        return said
    return path.lower().endswith(_JSON_DATA) and not _JSON_CONFIG.match(text)


def _yaml_is_data(path: str, text: str) -> bool:
    said = _by_name(path)
    if said is not None:
        return said
    return _exceeds(_YAML_ENTRY, text, _MANY_ENTRIES) or _exceeds(_YAML_KEY, text, _MANY_KEYS)


def _exceeds(pattern: re.Pattern[str], text: str, count: int) -> bool:
    return sum(1 for _, _ in zip(pattern.finditer(text), range(count), strict=False)) == count


def _xml_is_data(path: str, text: str) -> bool:
    if not path.lower().endswith(_XML_DATA) or _by_name(path) is False:
        return False
    if _TEMPLATE.search(text):
        return False
    root = _XML_ROOT.search(text[:_HEAD])
    if root is None:
        return True
    return not (_XML_CODE_ROOTS.fullmatch(root[1].rpartition(":")[2]) or _XML_CODE_SPACES.search(root[2]))


def _sql_is_data(path: str, text: str) -> bool:
    """Whether rows to insert are more than half of it, and many."""
    rows = [len(row[0]) for row in _ROW.finditer(text)]
    return len(rows) >= _MANY_ROWS and 2 * sum(rows) > len(text)


_DECIDERS: dict[str, Callable[[str, str], bool]] = {
    "CSV": _always,
    "TSV": _always,
    "SVG": _always,
    "Gettext Catalog": _always,
    "JSON": _json_is_data,
    "YAML": _yaml_is_data,
    "XML": _xml_is_data,
    "SQL": _sql_is_data,
}


def _json_shape(text: str) -> list[str]:
    first = text.partition("\n")[0]
    for part in (text, first):
        try:
            return _keys(json.loads(part))
        except (ValueError, RecursionError):
            continue
    return ["broken"]


def _keys(value: object) -> list[str]:
    if isinstance(value, dict):
        return ["{}", *sorted(value)]
    if isinstance(value, list):
        return ["[]", *(_keys(value[0])[: _NAMES_OF_SHAPE - 1] if value else [])]
    return [type(value).__name__]


def _first_line(text: str) -> list[str]:
    return [text.lstrip("\n").partition("\n")[0]]


def _found(pattern: re.Pattern[str]) -> Callable[[str], list[str]]:
    return lambda text: sorted({found[1] for found in pattern.finditer(text)})


def _same(text: str) -> list[str]:
    return []


_SHAPES: dict[str, Callable[[str], list[str]]] = {
    "CSV": _first_line,
    "TSV": _first_line,
    "SVG": _same,
    "Gettext Catalog": _same,
    "JSON": _json_shape,
    "YAML": _found(_YAML_KEY),
    "XML": _found(_TAG),
    "SQL": _found(_TABLE_NAME),
}
