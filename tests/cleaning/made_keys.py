"""Keys of every service that is known, and passwords, made from a seed: nothing that looks live lies in the repository.

Enters: a generator of random numbers. Leaves: the shortest key that a rule must find. The recipes are written apart
from the patterns, so that each checks the other.
"""

import random
import re
import string

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
ALPHABETS = {
    "a": LETTERS_AND_DIGITS,
    "w": LETTERS_AND_DIGITS + "_-",
    "b": LETTERS_AND_DIGITS + "+/",
    "h": HEX,
    "d": string.digits,
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "x": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",  # bech32
}
UUID = "{h8}-{h4}-{h4}-{h4}-{h12}"

RECIPES = {
    "adafruit_key": "aio_{a28}",
    "age_secret_key": "AGE-SECRET-KEY-1{x58}",
    "airtable_token": "pat{a14}.{h64}",
    "alibaba_access_key": "LTAI{a12}",
    "anthropic_key": "sk-ant-api03-{w32}",
    "artifactory_key": "AKCp{a69}",
    "atlassian_token": "ATATT3{w60}",
    "aws_access_key": "AKIA{u16}",
    "aws_mws_token": "amzn.mws." + UUID,
    "azure_client_secret": "{a3}8Q~{w31}",
    "azure_devops_token": "{a76}AZDO{a4}",
    "azure_shared_key": "AccountKey={b86}==",
    "azure_signature": "https://x.blob.core.windows.net/c?sv=2024&sig={a43}%3D",
    "braintree_token": "access_token$production${l16}${h32}",
    "brevo_key": "xkeysib-{h64}-{a16}",
    "buildkite_token": "bkua_{l40}",
    "clojars_token": "CLOJARS_{l60}",
    "cloudflare_key": "v1.0-{h24}-{h146}",
    "crates_token": "cio{a32}",
    "databricks_token": "dapi{h32}",
    "digitalocean_token": "dop_v1_{h64}",
    "discord_token": "M{a23}.{w6}.{w27}",
    "discord_webhook": "https://discord.com/api/webhooks/{d18}/{w60}",
    "docker_token": "dckr_pat_{w27}",
    "doppler_token": "dp.pt.{a40}",
    "dropbox_token": "sl.{w120}",
    "dynatrace_token": "dt0c01.{u24}.{u64}",
    "facebook_token": "EAACEdEose0cBA{a20}",
    "figma_token": "figd_{w40}",
    "flyio_token": "fm2_{b80}",
    "gcp_api_key": "AIza{w35}",
    "gcp_oauth_secret": "GOCSPX-{w28}",
    "gcp_oauth_token": "ya29.{w20}",
    "gcp_refresh_token": "1//0{w40}",
    "github_fine_grained_token": "github_pat_{a22}_{a59}",
    "github_token": "ghp_{a36}",
    "gitlab_runner_token": "GR1348941{w20}",
    "gitlab_token": "glpat-{w20}",
    "grafana_token": "glsa_{a32}_{h8}",
    "groq_key": "gsk_{a48}",
    "heroku_key": "HRKU-{w36}",
    "heroku_uuid": "HEROKU_API_KEY=" + UUID,
    "hubspot_token": "pat-na1-" + UUID,
    "huggingface_token": "hf_{a34}",
    "json_web_token": "eyJ{w20}.eyJ{w40}.{w16}",
    "linear_key": "lin_api_{a32}",
    "mailchimp_key": "{h32}-us7",
    "mailgun_key": "key-{h32}",
    "mapbox_token": "sk.eyJ{w20}.{w20}",
    "microsoft_teams_webhook": "https://x.webhook.office.com/webhookb2/{a60}",
    "new_relic_key": "NRAK-{u27}",
    "notion_token": "secret_{a43}",
    "npm_token": "npm_{a36}",
    "nuget_key": "oy2{l43}",
    "openai_key": "sk-{a20}T3BlbkFJ{a20}",
    "openai_legacy_key": "sk-{a48}",
    "openai_project_key": "sk-proj-{w32}",
    "openrouter_key": "sk-or-v1-{h64}",
    "perplexity_key": "pplx-{a48}",
    "planetscale_token": "pscale_tkn_{w32}",
    "postman_key": "PMAK-{h24}-{h34}",
    "pulumi_token": "pul-{h40}",
    "pypi_token": "pypi-AgE{w50}",
    "replicate_token": "r8_{a37}",
    "rubygems_key": "rubygems_{h48}",
    "sendgrid_key": "SG.{w22}.{w32}",
    "sentry_token": "sntrys_{a40}",
    "shippo_token": "shippo_live_{h40}",
    "shopify_token": "shpat_{h32}",
    "slack_app_token": "xapp-1-{u9}-{d13}-{a32}",
    "slack_token": "xoxb-{d10}",
    "slack_webhook": "https://hooks.slack.com/services/T{u9}/B{u9}/{a19}",
    "square_access_token": "EAAA{w60}",
    "square_token": "sq0atp-{w22}",
    "stripe_key": "sk_live_{a16}",
    "stripe_webhook_secret": "whsec_{a32}",
    "supabase_token": "sbp_{h40}",
    "tailscale_key": "tskey-auth-{a12}",
    "telegram_token": "{d9}:{w35}",
    "terraform_token": "{a14}.atlasv1.{w60}",
    "twilio_key": "SK{h32}",
    "typeform_token": "tfp_{w40}",
    "vault_token": "hvs.{w24}",
    "xai_key": "xai-{a70}",
    "zapier_webhook": "https://hooks.zapier.com/hooks/catch/{d8}/{a6}",
}


def make(recipe: str, rng: random.Random) -> str:
    """A value by recipe: `{a20}` are twenty characters of the alphabet `a`."""
    return re.sub(r"\{([a-z])(\d+)\}", lambda found: draw(found.group(1), int(found.group(2)), rng), recipe)


def draw(alphabet: str, length: int, rng: random.Random) -> str:
    """So many characters of an alphabet; the ends are letters or digits, as where a key is cut."""
    characters = [rng.choice(ALPHABETS[alphabet]) for _ in range(length)]
    plain = ALPHABETS[alphabet].rstrip("_-+/")
    characters[0], characters[-1] = rng.choice(plain), rng.choice(plain)
    return "".join(characters)


def password(rng: random.Random, length: int = 14) -> str:
    """As a password manager makes them, of characters that no language minds between quotes."""
    return draw("w", length - 4, rng) + "".join(rng.choice("!#%^*") + rng.choice(string.digits) for _ in range(2))


def pem(rng: random.Random, kind: str = "RSA PRIVATE KEY", lines: int = 12, newline: str = "\n") -> str:
    """A private key block, its lines of 64 characters."""
    body = newline.join(draw("b", 64, rng) for _ in range(lines))
    return f"-----BEGIN {kind}-----{newline}{body}{newline}-----END {kind}-----"
