"""Gives checkers that fetch JSON schemas from the internet the ones on disk instead, in their own process.

`install()` before the checker is called. Any other address is fetched as ever: the checkers also look at the links of the
catalog.
"""

import io
import json
import urllib.request
import urllib.response
from email.message import Message
from urllib.parse import urlsplit

import jsonschema_specifications
import requests
from pystac.validation.stac_validator import GetSchemaError

import schemas_on_disk

HOSTS = {"schemas.stacspec.org", "stac-extensions.github.io", "geojson.org", "json-schema.org", "proj.org"}


def install():
    """Answers requests for schemas from disk from now on, and returns what reads them."""
    schemas = schemas_on_disk.use()
    adapter = Disk(schemas)
    of_session = requests.Session.get_adapter

    def get_adapter(session, url):
        return adapter if urlsplit(url).hostname in HOSTS else of_session(session, url)

    requests.Session.get_adapter = get_adapter
    urllib.request.install_opener(urllib.request.build_opener(DiskHandler(schemas)))
    return schemas


def read(schemas, uri):
    """The text of a schema, or nothing where it is not on disk."""
    for known in (uri.rstrip("#"), uri):
        if known in jsonschema_specifications.REGISTRY:
            return json.dumps(jsonschema_specifications.REGISTRY[known].contents)
    try:
        return json.dumps(schemas._get_schema(uri))
    except GetSchemaError:
        # Without the folder extensions are not validated, which the story says.
        return None if schemas.folder else "{}"


class Disk(requests.adapters.BaseAdapter):
    def __init__(self, schemas):
        super().__init__()
        self.schemas = schemas

    def send(self, request, **_):
        text = read(self.schemas, request.url)
        response = requests.Response()
        response.request, response.url = request, request.url
        response.status_code = 404 if text is None else 200
        response.headers["content-type"] = "application/json"
        response.raw = io.BytesIO((text or "").encode())
        return response

    def close(self):
        pass


class DiskHandler(urllib.request.BaseHandler):
    handler_order = 100  # before the network

    def __init__(self, schemas):
        self.schemas = schemas

    def https_open(self, request):
        if urlsplit(request.full_url).hostname not in HOSTS:
            return None
        text = read(self.schemas, request.full_url)
        answer = urllib.response.addinfourl(io.BytesIO((text or "").encode()), Message(), request.full_url, 404 if text is None else 200)
        answer.msg = "OK"
        return answer

    http_open = https_open
