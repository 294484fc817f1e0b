"""A receiver of Hookline's pushes for Python 3.8 or later.

    PORT=9000 COMPANY_ID=demo APP_KEY=… ENCRYPTION_KEY=… python3 receiver.py

Signatures need the standard library alone. It has no AES: for sealed bodies
install one package (pip install cryptography).
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMPANY_ID = os.environ["COMPANY_ID"]
APP_KEY = os.environ["APP_KEY"].encode()
ENCRYPTION_KEY = base64.b64decode(os.environ.get("ENCRYPTION_KEY", ""))

# In production both live in the database that stores the events, and are
# written in the same transaction.
seen = set()  # webhook-id
highest = {}  # order key -> sequence
lock = threading.Lock()


def signed(headers, body):
    """Are the bytes those that Hookline signed?"""
    text = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
    want = b"v1," + base64.b64encode(hmac.new(APP_KEY, text, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").split()  # several while a key is rotated
    return any(hmac.compare_digest(g.encode(), want) for g in given)


def unseal(headers, body):
    """The plain body of a sealed one."""
    kind = headers.get("X-Hookline-Encryption")
    if not kind:
        return body
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    raw = base64.b64decode(json.loads(body)["content"])
    if kind == "aes-256-gcm":  # nonce, text, tag; bound to the headers of this push
        bound = COMPANY_ID + headers["X-Log-TimeStamp"] + headers["X-Log-RandomCode"]
        return AESGCM(ENCRYPTION_KEY).decrypt(raw[:12], raw[12:], bound.encode())
    if kind == "aes-256-cbc":  # iv, text
        cipher, raw = Cipher(algorithms.AES(ENCRYPTION_KEY), modes.CBC(raw[:16])), raw[16:]
    elif kind == "aes-128-ecb":
        cipher = Cipher(algorithms.AES(ENCRYPTION_KEY[:16]), modes.ECB())
    else:
        raise ValueError("unknown encryption")
    decryptor, unpadder = cipher.decryptor(), padding.PKCS7(128).unpadder()
    padded = decryptor.update(raw) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def order_key(event, b):
    """What an event is about; sequence grows within it.

    An id may be a text or a number of any length, or null.
    """
    def id(name):
        return b[name].strip() if isinstance(b.get(name), str) else ""

    kind = event.split(".")[0]
    if kind == "cdr":
        return f"{event}/{id('callID')}/{id('partyId')}"
    names = ("contactId", "chatId", "visitorId", "callID", "agentUUID", "agentID")
    return f"{kind}/{next(filter(None, map(id, names)), '')}"


def receive(headers, body):
    # 1. The signature, before anything that the push says is believed.
    if not signed(headers, body):
        return 401
    # 2. The time: a push recorded long ago is not played back to us.
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return 401
    plain = unseal(headers, body)  # raises when our key is wrong: 500, it shall come again
    id, event = headers["webhook-id"], headers["X-Hookline-Event"]
    sequence = int(headers["X-Hookline-Sequence"])
    key = order_key(event, json.loads(plain, parse_int=str, parse_float=str))  # numbers as they are written
    with lock:
        # 3. The id: at least once means that some come twice.
        if id in seen:
            return 200
        # 4. The order: what is older than what we know must not overwrite it.
        word = "applied"
        if sequence <= highest.get(key, 0):
            word = "outdated"  # keep it for the record, leave the state as it is
        else:
            highest[key] = sequence
        print(word, event, id, sequence, plain.decode(), flush=True)
        seen.add(id)
    return 200  # 5. Only now that it is stored; whatever takes long comes later.


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status = receive(self.headers, body)
        except Exception as error:
            print(type(error).__name__, error, file=sys.stderr)
            status = 500
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
