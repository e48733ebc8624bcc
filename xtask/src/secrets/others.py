"""For each line of standard input, a text in JSON: what oslo.utils and detect-secrets leave of it.

detect-secrets finds secrets in files and does not mask them: what it finds is replaced here."""

import json
import sys
import tempfile

from oslo_utils import strutils
from detect_secrets.core import scan
from detect_secrets.settings import default_settings


def detected(text):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, default_settings():
        file.write(text)
        file.flush()
        for secret in scan.scan_file(file.name):
            if secret.secret_value:
                text = text.replace(secret.secret_value, "***")
    return text


for line in sys.stdin:
    text = json.loads(line)
    print(json.dumps([strutils.mask_password(text), detected(text)]))
