"""Keys and tokens of services that give them a shape of their own.

Enters: the bytes of a text. Leaves: findings. Each service has a sign, a short pattern that every one of its keys
holds, and the shape of the whole key; one pass for all signs rules out nearly every text. Shapes are those that the
services publish, or that their keys are seen to have. Limit: a service that changes its shape, or has none (32
hexadecimal digits and nothing around them), is found only by the name that the key is assigned to.
"""

from collections.abc import Iterator

from loopdata.cleaning.gibberish import evidence
from loopdata.cleaning.patterns import compiled
from loopdata.cleaning.placeholders import Family, Finding, is_example

# Rule, sign, shape; a group in the shape is what is replaced, without one all of it is. <a> is a letter or digit, <w>
# also `_` and `-`, <h> a hexadecimal digit in lower case.
_SHAPES = rb"""
adafruit_key              \baio_<a>{4}                   \baio_<a>{28}\b
age_secret_key            AGE-SECRET-KEY-1              \bAGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}\b
airtable_token            \bpat<a>{14}\.<h>{8}          \bpat<a>{14}\.<h>{64}\b
alibaba_access_key        \bLTAI<a>                     \bLTAI<a>{12,24}\b
anthropic_key             \bsk-ant-                     \bsk-ant-(?:[a-z]+\d{2}-)?<w>{32,}
artifactory_key           \bAKCp<a>                     \bAKCp<a>{69}\b
atlassian_token           \bAT(?:ATT3|CTT3|BB)<a>       \bAT(?:(?:A|C)TT3[A-Za-z0-9_=-]{60,}|BB<a>{32}\b)
aws_access_key            \bA(?:KIA|SIA|BIA|CCA)[A-Z0-9] \bA(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}\b
aws_mws_token             amzn\.mws\.                   \bamzn\.mws\.<uuid>\b
azure_client_secret       \dQ~<a>                       (?:^|[^\w~.-])([\w~.]{3}\dQ~[\w~.-]{31,34})
azure_devops_token        AZDO                          \b<a>{76}AZDO<a>{4}\b
azure_shared_key          (?:Account|SharedAccess)Key=  (?:Account|SharedAccess)Key=([A-Za-z0-9+/]{43,86}={1,2})
azure_signature           [?&](?:amp;)?sig=[A-Za-z0-9%] [?&](?:amp;)?sig=([A-Za-z0-9%+/]{42,120}(?:=|%3[dD]))
braintree_token           access_token\$production      \baccess_token\$production\$[0-9a-z]{16}\$<h>{32}\b
brevo_key                 \bx(?:keysib|smtpsib)-        \bx(?:keysib|smtpsib)-<h>{64}-<a>{16}\b
buildkite_token           \bbk(?:ua|pat)_               \bbk(?:ua|pat)_[0-9a-z]{40}\b
clojars_token             \bCLOJARS_[0-9a-z]            \bCLOJARS_[0-9a-z]{60}\b
cloudflare_key            \bv1\.0-<h>{8}                \bv1\.0-<h>{24}-<h>{146}\b
crates_token              \bcio<a>{32}                  \bcio<a>{32}\b
databricks_token          \bdapi<h>{4}                  \bdapi<h>{32}(?:-\d)?\b
digitalocean_token        \bdo[opr]_v1_                 \bdo[opr]_v1_<h>{64}\b
discord_token             \b[MNO]<w>{23,27}\.<w>{6}\.   \b([MNO]<w>{23,27}\.<w>{6}\.<w>{27,40})
discord_webhook           /api/webhooks/                discord(?:app)?\.com/api/webhooks/(\d{17,20}/<w>{60,})
docker_token              \bdckr_[po]at_                \bdckr_[po]at_<w>{27,}
doppler_token             \bdp\.[a-z]{2,5}\.            \bdp\.(?:ct|pt|sa|scim|st|audit)\.(?:[a-z]+\.)?<a>{40,44}\b
dropbox_token             \bsl\.<w>{20}                 \bsl\.(?:u\.)?<w>{120,}
dynatrace_token           \bdt0[a-z]\d{2}\.             \bdt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}\b
facebook_token            \bEAACEdEose0cBA              \bEAACEdEose0cBA<a>{20,}
figma_token               \bfigd_                       \bfigd_<w>{40,}
flyio_token               \bfm[12][a-z]?_               \b(?:fm1r_|fm2_)[A-Za-z0-9+/=]{80,}
gcp_api_key               \bAIza<w>                     \bAIza<w>{35}
gcp_oauth_secret          \bGOCSPX-                     \bGOCSPX-<w>{28}
gcp_oauth_token           \bya29\.                      \bya29\.<w>{20,}
gcp_refresh_token         \b1//0<a>                     \b1//0<w>{40,}
github_fine_grained_token \bgithub_pat_                 \bgithub_pat_<a>{22}_<a>{59}\b
github_token              \bgh[oprsu]_<a>               \bgh[oprsu]_<a>{36,}\b
gitlab_runner_token       \bGR1348941                   \bGR1348941<w>{20,}
gitlab_token              \bgl[acdfiops][a-z]{1,4}-<w>{8} \bgl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|soat)-<w>{20,}
grafana_token             \bgl(?:c_|sa_)<a>             \bgl(?:c_[A-Za-z0-9+/=]{32,}|sa_<a>{32}_<h>{8}\b)
groq_key                  \bgsk_<a>                     \bgsk_<a>{48,}\b
heroku_key                \bHRKU-                       \bHRKU-<w>{36,}
heroku_uuid              (?i)heroku                  (?i)heroku[\w."'-]{0,30}["'\s]{0,3}(?::?=>?|:)["'\s]{0,3}(<uuid>)\b
hubspot_token             \bpat-(?:na|eu)               \bpat-(?:na|eu)\d-<uuid>\b
huggingface_token         \b(?:hf|api_org)_<a>{8}       \b(?:hf|api_org)_<a>{34,40}\b
json_web_token            \beyJ<w>{5}                   \beyJ<w>{8,}\.eyJ<w>{8,}\.<w>{16,}
linear_key                \blin_(?:api|oauth)_          \blin_(?:api|oauth)_<a>{32,64}\b
mailchimp_key             <h>{8}-us\d                   \b<h>{32}-us\d{1,2}\b
mailgun_key               \bkey-<h>{8}                  \bkey-<h>{32}\b
mapbox_token              \bsk\.eyJ                     \bsk\.eyJ<w>{20,}\.<w>{20,}
microsoft_teams_webhook   webhook\.office\.com          webhook\.office\.com/webhookb2/([A-Za-z0-9@/-]{60,})
new_relic_key             \bNR(?:AK|JS|II|RA)-          \bNR(?:AK-[A-Z0-9]{27}|JS-<h>{19}|II-<w>{32}|RA-<h>{42})\b
notion_token              \b(?:ntn|secret)_<a>{8}       \b(?:ntn_<a>{40,50}|secret_<a>{43})\b
npm_token                 \bnpm_<a>{8}                  \bnpm_<a>{36}\b
nuget_key                 \boy2[a-z0-9]{8}              \boy2[a-z0-9]{43}\b
openai_key                T3BlbkFJ                      \bsk-<w>{20,120}T3BlbkFJ<w>{20,}
openai_legacy_key         \bsk-<a>{12}                  \bsk-<a>{48}\b
openai_project_key        \bsk-[a-zN]{4,7}-             \bsk-(?:proj|svcacct|admin|None)-<w>{32,}
openrouter_key            \bsk-or-v1-                   \bsk-or-v1-<h>{64}\b
perplexity_key            \bpplx-                       \bpplx-<a>{48}\b
planetscale_token         \bpscale_                     \bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}
postman_key               \bPMAK-                       \bPMAK-<h>{24}-<h>{34}\b
pulumi_token              \bpul-<h>{8}                  \bpul-<h>{40}\b
pypi_token                \bpypi-AgE                    \bpypi-AgE<w>{50,}
replicate_token           \br8_<a>{8}                   \br8_<a>{37}\b
rubygems_key              \brubygems_<h>                \brubygems_<h>{48}\b
sendgrid_key              \bSG\.<w>{8}                  \bSG\.<w>{16,32}\.<w>{32,64}
sentry_token              \bsntry[su]_                  \bsntry[su]_[A-Za-z0-9+/=_-]{40,}
shippo_token              \bshippo_                     \bshippo_(?:live|test)_<h>{40}\b
shopify_token             \bshp(?:at|ca|pa|ss|ua|tka)_  \bshp(?:at|ca|pa|ss|ua|tka)_[0-9a-fA-F]{32}\b
slack_app_token           \bxapp-\d                     \bxapp-\d-[A-Z0-9]+-\d+-<a>{32,}
slack_token               \bxox[a-z]                    \bxox(?:[abeoprs]|e\.xox[bp])-[A-Za-z0-9-]{10,}
slack_webhook            hooks\.slack\.com/           hooks\.slack\.com/(?:services|triggers|workflows)/([\w+/-]{40,56})
square_access_token       \bEAAA<w>{20}                 (?:^|[^A-Za-z0-9+/_-])(EAAA<w>{60})(?:[^A-Za-z0-9+/=_-]|$)
square_token              \bsq0[a-z]{3}-                \bsq0[a-z]{3}-<w>{22,43}
stripe_key                \b[rs]k_(?:live|test|prod)_   \b[rs]k_(?:live|test|prod)_<a>{16,}\b
stripe_webhook_secret     \bwhsec_<a>{8}                \bwhsec_[A-Za-z0-9+/=]{32,}
supabase_token            \bsbp_<h>{8}                  \bsbp_<h>{40}\b
tailscale_key             \btskey-                      \btskey-[a-z]+-<a>+(?:-<a>{16,})?
telegram_token            \b\d{8,10}:<w>{20}            \b(\d{8,10}:<w>{35})(?:[^A-Za-z0-9_-]|$)
terraform_token           \.atlasv1\.                   \b<a>{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}
twilio_key                \b(?:AC|SK)<h>{8}             \b(?:AC|SK)<h>{32}\b
typeform_token            \btfp_                        \btfp_[A-Za-z0-9_.=-]{40,}
vault_token               \bhv[bsr]\.                   \bhv[bsr]\.<w>{24,}
xai_key                   \bxai-<a>{8}                  \bxai-<a>{70,}\b
zapier_webhook            hooks\.zapier\.com/           hooks\.zapier\.com/hooks/catch/(\d+/<a>{6,})
"""
_CLASSES = {
    b"<a>": b"[A-Za-z0-9]",
    b"<w>": b"[A-Za-z0-9_-]",
    b"<uuid>": b"<h>{8}(?:-<h>{4}){3}-<h>{12}",
    b"<h>": b"[0-9a-f]",
}


def _rows() -> Iterator[tuple[str, bytes, bytes]]:
    table = _SHAPES
    for name, characters in _CLASSES.items():
        table = table.replace(name, characters)
    for line in table.split(b"\n")[1:-1]:
        rule, sign, shape = line.split()
        yield rule.decode(), sign, shape


# Their shapes are those of some names and paths in code as well, so that how they look decides.
_LIKE_NAMES = frozenset({"crates_token", "discord_token", "telegram_token"})
SERVICES = tuple(rule for rule, _, _ in _rows())
_SIGNS = compiled(b"|".join(b"(?:%b)" % sign for _, sign, _ in _rows()))
_PATTERNS = [(rule, compiled(shape)) for rule, _, shape in _rows()]


def find_service_keys(text: bytes) -> Iterator[Finding]:
    """Keys of services, in the order of SERVICES."""
    if _SIGNS.search(text) is None:
        return
    for rule, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span(1 if pattern.groups else 0)
            value = text[start:end]
            if not is_example(value) and (rule not in _LIKE_NAMES or evidence(value) > 0):
                yield Finding(start, end, rule, Family.KEY)
