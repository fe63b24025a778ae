"""Which files belong to somebody else's project, by where they lie and what they are called.

Enters: a path below its repository. Leaves: each `Hit`, the rule and the part of the path. The categories are
those that linguist and go-enry know, the rules ours. Folders that are as often a project's own (`dist`, `external`,
`fixtures`, `extern`) are left out on purpose. Limit: code that was copied without its folder and name is for near
deduplication to find.
"""

import re
from collections.abc import Iterator

from loopdata.cleaning.generated_rules import Hit

# Whole names of folders, anywhere above the file.
_PACKAGES = """
node_modules bower_components jspm_packages web_modules site-packages dist-packages Godeps elm-stuff Pods packrat
"""
_VENDORED = """
vendor vendors vendored _vendor _vendored _vendored_packages third_party third-party thirdparty ThirdParty 3rdparty
3rd-party 3rd_party third_parties
"""
_FOLDERS = dict.fromkeys(_PACKAGES.split(), "packages_folder") | dict.fromkeys(_VENDORED.split(), "vendored_folder")
# Folders by more than one name.
_PLACES = (
    ("packages_folder", r"(^|/)(Carthage/(Checkouts|Build)|\.build/checkouts|SourcePackages/checkouts)/"),
    ("packages_folder", r"(^|/)(\.?v?env|\.?virtualenv)/lib/python\d"),
    ("packages_folder", r"(^|/)\.yarn/(releases|plugins|sdks|unplugged|cache)/"),
    ("packages_folder", r"(^|/)\w+\.(framework|xcframework)/"),
    ("build_wrapper", r"(^|/)(gradlew|gradlew\.bat|mvnw|mvnw\.cmd|gradle/wrapper/.+|\.mvn/wrapper/.+)$"),
    ("build_wrapper", r"(^|/)(\.pnp\.c?js|\.pnp\.loader\.mjs|renv/activate\.R|erlang\.mk|rebar3?|waf)$"),
    ("build_wrapper", r"(^|/)(get-pip|ez_setup)\.py$"),
    ("autotools_copy", r"(^|/)(config\.(guess|sub)|ltmain\.sh|install-sh|depcomp|mkinstalldirs|test-driver|ylwrap)$"),
    ("autotools_copy", r"(^|/)(libtool|ltoptions|ltsugar|ltversion|lt~obsolete|pkg)\.m4$|(^|/)ppport\.h$"),
    ("editor_settings", r"(^|/)\.(vscode|idea|fleet|settings)/"),
)  # fmt: skip
_LIBRARIES = (
    r"jquery|bootstrap|modernizr|html5shiv|respond|underscore|backbone|angular|ember|handlebars|mustache|knockout|lodash"
    r"|moment|d3|raphael|three|leaflet|highcharts|dojo|prototype|scriptaculous|mootools|yui|zepto|select2|chosen"
    r"|require|normalize|font-?awesome|foundation|animate|materialize|bulma|semantic|polymer|vue|react|react-dom"
    r"|socket\.io|hammer|fastclick|swfobject|json2|es5-shim|pdf|video|codemirror|ckeditor|tinymce|highlight|prettify"
)
_VERSION = r"[.-]v?\d+(\.\d+)*([.-](beta|rc|alpha)\.?\d*)?"
_FORM = r"([.-](slim|core|custom|bundle|pack|full|all|amd|dev|debug|production|development|umd|esm|prod|global))*"
# jquery.js, jquery-3.2.1.slim.js, jquery.cookie.js; d3.v3.js; of the others only with a version or a build's form,
# since `moment.js`, `require.js` or `react.js` are also what people call their own files.
_COPIES = (
    ("library_copy", rf"(?i)^jquery({_VERSION})?{_FORM}\.js$"),
    ("library_copy", r"(?i)^jquery[.-](ui|mobile|migrate|easing|cookie|form)\b[\w.-]*\.(js|css)$"),
    ("library_copy", rf"(?i)^({_LIBRARIES}){_VERSION}{_FORM}\.(js|css)$"),
    ("library_copy", rf"(?i)^({_LIBRARIES})[.-](slim|pack|umd|esm|global|production)\.(js|css)$"),
    ("library_copy", r"(?i)^(bootstrap(-theme|-responsive|-grid|-reboot)?|font-?awesome|normalize)\.css$"),
    ("library_copy", r"(?i)^(html5shiv|modernizr)\.js$"),
)
PLACES = tuple((rule, re.compile(pattern)) for rule, pattern in _PLACES)
COPIES = tuple((rule, re.compile(pattern)) for rule, pattern in _COPIES)
MAX_PATH = 4_096
RULES = frozenset({*_FOLDERS.values(), *(rule for rule, _ in (*PLACES, *COPIES))})


def vendored(path: str) -> Iterator[Hit]:
    """What says that this file is a copy of somebody else's, in the order of the rules."""
    path = path[-MAX_PATH:]
    *folders, name = path.split("/")
    for folder in folders:
        if folder in _FOLDERS:
            yield Hit(_FOLDERS[folder], 0, f"{folder}/")
    for rule, pattern in PLACES:
        match = pattern.search(path)
        if match:
            yield Hit(rule, 0, match.group().strip("/")[:80])
    yield from (Hit(rule, 0, name) for rule, pattern in COPIES if pattern.search(name))
