"""A receiver of facefit's webhooks: verifies each request, takes each event once, prints it.

    pip install flask standardwebhooks
    FACEFIT_WEBHOOK_SECRET=whsec_… python webhook_receiver.py --port 5000 --seen seen.sqlite

The secret is what `POST /v1/webhooks/secret` answered. A facefit on the same machine calls this address only if it was
started with FACEFIT_OUTBOUND_ALLOWED_HOSTS=127.0.0.1:5000 and FACEFIT_OUTBOUND_ALLOW_HTTP=1; elsewhere put https before
this.

An event may come more than once (an answer can get lost), always under the same `webhook-id`. So it is written down,
acted on, and answered only then: whoever dies in between forgets that it came, and gets it again.
"""

import argparse
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from flask import Flask, Response, request
from standardwebhooks import Webhook, WebhookVerificationError

PATIENCE_S = 10.0  # for another event that is being acted on; facefit waits for 15 s


def act_on(event: dict[str, Any]) -> None:
    """Do what is to be done once. What takes long belongs into a queue: an answer has 15 s."""
    data = event["data"]
    print(json.dumps([event["type"], data["id"], data.get("reference"), data.get("result_url")]), flush=True)


def make_receiver(secret: str, seen_path: str, act: Callable[[dict[str, Any]], None] = act_on) -> Flask:
    """Return the receiver as a WSGI app."""
    app = Flask(__name__)
    webhook = Webhook(secret)
    with closing(sqlite3.connect(seen_path)) as seen:
        seen.execute("CREATE TABLE IF NOT EXISTS events (webhook_id TEXT PRIMARY KEY, body TEXT NOT NULL)")

    @app.post("/hook")
    def receive() -> Response:
        try:
            # The signature is of the very bytes: verify before anything parses them. Old timestamps are refused, too.
            webhook.verify(request.get_data(), dict(request.headers))
        except (WebhookVerificationError, ValueError):  # the library lets malformed signatures through as the latter
            return Response("the signature is not right", status=401)
        webhook_id = request.headers["webhook-id"]
        with closing(sqlite3.connect(seen_path, timeout=PATIENCE_S)) as seen, seen:
            is_new = seen.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?)", (webhook_id, request.get_data(as_text=True))
            ).rowcount
            if is_new:
                act(request.get_json())  # within the transaction: what goes wrong here takes it back
        return Response(status=204)

    return app


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Receive facefit's webhooks.")
    arguments.add_argument("--port", type=int, default=5000)
    arguments.add_argument("--seen", default="seen.sqlite", help="where events are written down")
    given = arguments.parse_args()
    make_receiver(os.environ["FACEFIT_WEBHOOK_SECRET"], given.seen).run(port=given.port)
