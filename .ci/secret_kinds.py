"""What a secret looks like: the patterns of detect-secrets, and those that it lacks or has too narrow."""

import re
from collections.abc import Iterator

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString
from detect_secrets.plugins.keyword import KeywordDetector

LEFT_OUT = {"Public IP (ipv4)"}
"""Kinds of detect-secrets that are no secrets."""
OWN = {
    # Routable tokens are longer than detect-secrets expects and hold dots; glrt-, glcbt- and others carry prefixes.
    # https://docs.gitlab.com/security/tokens/#token-prefixes
    "GitLab Token": r"\bgl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct|wt)-[\w.-]{20,}",
    "GitLab Runner Registration Token": r"\bGR1348941[\w-]{20,}",
    # See src/wattline/serving/access/keys.py.
    "Wattline API Key": r"\bwl_[a-z0-9][a-z0-9.-]{0,62}_[\w-]{43}(?![\w-])",
    "GitHub Token": r"\bgithub_pat_\w{22,}",
    "Hugging Face Token": r"\bhf_[A-Za-z0-9]{30,}",
    "NPM Token": r"\bnpm_[A-Za-z0-9]{36}(?!\w)",
    "PyPI Token": r"\bpypi-[\w-]{50,}",
    "Slack Token": r"\bxox[abeoprs]-[\w-]{10,}",
    "Private Key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\\n'\",]+[A-Za-z0-9+/]{16}",
    "AWS Secret Key": r"(?i)aws_?secret_?(?:access_?)?key\W{1,8}[a-z0-9/+]{40}(?![a-z0-9/+=])",
}
"""Kind -> pattern, which is looked for in the whole text of a file."""
NAMED = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|credential)[\w-]*"
    r"[\\'\"]*\s*(?::|=|:=)\s*[\\'\"]*([a-z0-9+/_=-]{20,})(?![\w.(\[])"
)
"""A value that is given to something with the name of a secret, quoted or not."""
LOWEST_ENTROPY, LOWEST_ENTROPY_HEX = 3.8, 3.0
"""Bits a character of such a value: words joined by underscores have less, 20 random characters have more."""
QUOTED = re.compile(r"""(['"])[\w+/=-]{20,}\1""")
SPOKEN = re.compile(r"(?i)passw|passphrase|pwd|secret|token|key|credential")
BASE64, HEX, KEYWORD = Base64HighEntropyString(limit=4.5), HexHighEntropyString(limit=3.0), KeywordDetector()


def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    found = [(kind, re.compile(pattern)) for kind, pattern in OWN.items()]
    for kind, plugin in get_mapping_from_secret_type_to_class().items():
        # A key that only has its first line is none; ours wants some of what follows.
        if issubclass(plugin, RegexBasedDetector) and kind not in LEFT_OUT | {"Private Key", KEYWORD.secret_type}:
            found += [(kind, pattern) for pattern in plugin().denylist]
    return found


PATTERNS = _patterns()


def find(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Place in `text`, kind and value of each secret in a file called `name`."""
    for kind, pattern in PATTERNS:
        for match in pattern.finditer(text):
            yield match.start(), kind, match.group()
    for match in NAMED.finditer(text):
        lowest = LOWEST_ENTROPY_HEX if set(match[1].lower()) <= set("0123456789abcdef") else LOWEST_ENTROPY
        if BASE64.calculate_shannon_entropy(match[1]) >= lowest and not _is_harmless(match[1]):
            yield match.start(1), "Named Secret", match[1]
    position = 0
    for line in text.splitlines(keepends=True):
        for kind, value in _in_line(line.rstrip(), name):
            yield position, kind, value
        position += len(line)


def _in_line(line: str, name: str) -> Iterator[tuple[str, str]]:
    plugins = [BASE64, HEX] if QUOTED.search(line) else []
    plugins += [KEYWORD] if SPOKEN.search(line) else []
    for plugin in plugins:
        for secret in plugin.analyze_line(filename=name, line=line, line_number=1):
            value = secret.secret_value or ""
            if not _is_harmless(value) and not heuristic.is_indirect_reference(line):
                yield secret.type, value


def _is_harmless(value: str) -> bool:
    """Whether a value that only its looks or its name make suspicious is a counting row, a variable or a UUID."""
    return (
        heuristic.is_sequential_string(value)
        or heuristic.is_templated_secret(value)
        or heuristic.is_prefixed_with_dollar_sign(value)
        or heuristic.is_not_alphanumeric_string(value)
        or heuristic.is_potential_uuid(value)
    )
