"""Who is answered by whom while a challenger is tried: a share of the requests, the same ones every time."""

from hashlib import blake2b
from typing import Literal

Mode = Literal["off", "canary", "shadow"]
Choice = Literal["stable", "canary", "both"]
BITS = 64


class Split:
    """Shares requests by a key. A larger share holds every key of a smaller one."""

    def __init__(self, mode: Mode, percent: float) -> None:
        """Give `percent` of the keys to the challenger [%]: for good ("canary"), or as a copy ("shadow")."""
        self._chosen: Choice = "both" if mode == "shadow" else "canary"
        self._below = 0 if mode == "off" else round(percent / 100 * 2**BITS)

    def choose(self, key: str) -> Choice:
        """Who answers a request with this key; the same in every process and on every day."""
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=BITS // 8).digest()
        return self._chosen if int.from_bytes(digest) < self._below else "stable"
