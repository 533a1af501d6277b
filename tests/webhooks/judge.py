"""Judges messages with the reference library of Standard Webhooks.

Reads one JSON object a line (secret, headers, body) and says "taken" or "refused" to each.
"""
import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    message = json.loads(line)
    try:
        Webhook(message["secret"]).verify(message["body"], message["headers"])
        print("taken")
    except WebhookVerificationError:
        print("refused")
