"""Whether the server in this container answers that it is ready. For another port: healthcheck.py PORT."""

import http.client
import sys


def main() -> str | None:
    """What is wrong; nothing when /readyz says 200. Without urllib, so that no proxy of the environment is asked."""
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8000, timeout=2)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    return None if status == 200 else f"/readyz says {status}"


if __name__ == "__main__":
    sys.exit(main())
