#!/usr/bin/env python3
"""Lets pystac-client, a client that is not ours, search in what fill.py made, behind a proxy that serves polder under a prefix.

    search_story.py http://127.0.0.1:8080

Every answer is held against what the items are known to say. The proxy is a few lines in this process: it takes the prefix
away and says so in X-Forwarded-*, and lets nothing through that does not start with it, so a link that forgets the prefix
leads nowhere. Exits 1 on any complaint.
"""

import http.server
import re
import sys
import threading
from urllib.parse import urljoin, urlsplit

import requests
from pystac_client import Client, ConformanceClasses

import fill

PREFIX = "/maps/polder"
POSTS = [fill.item(i) for i in range(fill.ITEMS)]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "host"}


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self.path.startswith(PREFIX):
            return self.answer(421, {}, b"this path is not under the prefix")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers |= {"Accept-Encoding": "identity", "X-Forwarded-Host": self.headers["host"], "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": PREFIX}
        url = self.upstream + self.path.removeprefix(PREFIX)
        answer = requests.request(self.command, url, headers=headers, data=body, allow_redirects=False)
        return self.answer(answer.status_code, answer.headers, answer.content)

    do_GET = do_POST = pass_on

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Story:
    def __init__(self, root):
        self.root = root
        self.complaints = []
        self.checks = 0
        self.client = Client.open(root)

    def expect(self, what, found, wanted):
        self.checks += 1
        if found != wanted:
            self.complaints.append(f"{what}: wanted {wanted!r:.300}, found {found!r:.300}")

    def posts(self, what, keep, **question):
        """Searches by GET and by POST for the posts that `keep` lets through; the order matters when `sortby` is there."""
        wanted = [post["id"] for post in sorted(POSTS, key=lambda post: post["id"], reverse=True) if keep(post)]
        for method in ("GET", "POST"):
            search = self.client.search(method=method, collections=[fill.COLLECTION], limit=7, **question)
            self.expect(f"{method} {what}", [item.id for item in search.items()], wanted)
            self.expect(f"{method} {what}: matched", search.matched(), len(wanted))

    def tell(self):
        self.what_the_landing_page_promises()
        self.filters()
        self.times_and_places()
        self.order_and_fields()
        self.pages_both_ways()
        self.collections()
        self.documentation()
        self.expect("links that forget the prefix", self.strays(), [])

    def what_the_landing_page_promises(self):
        for needed in ("ITEM_SEARCH", "FILTER", "SORT", "FIELDS", "QUERY", "COLLECTIONS", "FEATURES", "COLLECTION_SEARCH",
                       "COLLECTION_SEARCH_FREE_TEXT"):
            self.expect(f"conforms to {needed}", self.client.conforms_to(ConformanceClasses[needed]), True)

    def filters(self):
        def fine(post):
            return post["properties"]["gsd"] < 0.015

        def without_moles(post):
            return fine(post) and post["properties"]["inspection:moles"] == 0

        self.posts("a filter in CQL2 text", without_moles, filter='gsd < 0.015 AND "inspection:moles" = 0', filter_lang="cql2-text")
        self.posts("a filter in CQL2 JSON", without_moles, filter={"op": "and", "args": [
            {"op": "<", "args": [{"property": "gsd"}, 0.015]}, {"op": "=", "args": [{"property": "inspection:moles"}, 0]},
        ]})
        self.posts("a LIKE", lambda post: post["properties"]["title"].startswith("Post 1"), filter="title LIKE 'Post 1%'", filter_lang="cql2-text")
        self.posts("the query extension", fine, query={"gsd": {"lt": 0.015}})
        # pystac-client has no free text for items yet.
        found = requests.get(f"{self.root}/search", params={"q": "asphalt", "limit": 100}).json()["features"]
        wanted = {post["id"] for post in POSTS if "asphalt" in post["properties"]["description"]}
        self.expect("free text", {item["id"] for item in found}, wanted)
        self.posts("ids", lambda post: post["id"] in ("post-03", "post-20"), ids=["post-03", "post-20"])

    def times_and_places(self):
        def day(post):
            return int(post["properties"]["datetime"][8:10])

        self.posts("an open end", lambda post: day(post) >= 20, datetime="2025-03-20T00:00:00Z/..")
        self.posts("an open start", lambda post: day(post) <= 3, datetime="../2025-03-03T23:59:59Z")
        self.posts("whole days", lambda post: 5 <= day(post) <= 7, datetime="2025-03-05/2025-03-07")
        self.posts("one moment", lambda post: day(post) == 9, datetime="2025-03-09T10:00:00Z")
        west, south, east, north = POSTS[3]["bbox"]
        inside = {"type": "Point", "coordinates": [(west + east) / 2, (south + north) / 2]}
        self.posts("intersects", lambda post: post["id"] == "post-03", intersects=inside)
        box = [5.9, 51.9, 5.9345, 51.9145]
        self.posts("bbox", lambda post: post["bbox"][0] <= box[2] and post["bbox"][1] <= box[3], bbox=box)

    def order_and_fields(self):
        def key(item):
            return -item["properties"]["inspection:moles"], item["id"]

        for method in ("GET", "POST"):
            search = self.client.search(
                method=method, collections=[fill.COLLECTION], limit=6, sortby="-properties.inspection:moles,+id",
                fields=["id", "collection", "properties.inspection:moles"],
            )
            found = list(search.items_as_dicts())
            self.expect(f"{method} sortby", [item["id"] for item in found], [post["id"] for post in sorted(POSTS, key=key)])
            self.expect(f"{method} fields", {name for item in found for name in item}, {"id", "collection", "properties"})
            self.expect(f"{method} fields inside", {name for item in found for name in item["properties"]}, {"inspection:moles"})

    def pages_both_ways(self):
        for method in ("GET", "POST"):
            there, back = [], []
            page = next(self.client.search(method=method, collections=[fill.COLLECTION], limit=6).pages_as_dicts())
            while True:
                there.append([item["id"] for item in page["features"]])
                following = self.follow(page, "next")
                if following is None:
                    break
                page = following
            while page is not None:
                back.append([item["id"] for item in page["features"]])
                page = self.follow(page, "prev")
            self.expect(f"{method} pages", [len(ids) for ids in there], [6, 6, 6, 6, 1])
            self.expect(f"{method} pages backwards", back, there[::-1])

    def follow(self, page, rel):
        link = next((link for link in page["links"] if link["rel"] == rel), None)
        if link is None:
            return None
        return requests.request(link.get("method", "GET"), link["href"], json=link.get("body")).json()

    def collections(self):
        found = [collection.id for collection in self.client.collection_search(q="walks").collections()]
        self.expect("collections by a word", found, [fill.COLLECTION])
        found = [collection.id for collection in self.client.collection_search(bbox=[5.95, 51.95, 5.96, 51.96]).collections()]
        self.expect("collections by place", fill.COLLECTION in found, True)
        found = [collection.id for collection in self.client.collection_search(
            filter="license = 'CC-BY-4.0' AND title LIKE 'Insp%'", filter_lang="cql2-text").collections()]
        self.expect("collections by a filter", found, [fill.COLLECTION])
        collection = self.client.get_collection(fill.COLLECTION)
        self.expect("one item", collection.get_item("post-07").properties["title"], "Post 7")
        self.expect("items by id", [item.id for item in collection.get_items("post-01", "post-02")], ["post-02", "post-01"])
        queryables = self.client.get_merged_queryables([fill.COLLECTION])["properties"]
        self.expect("a queryable", queryables["inspection:moles"]["type"], "integer")

    def documentation(self):
        page = requests.get(f"{self.root}/api.html")
        parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        found = {part: requests.get(urljoin(page.url, part)).status_code for part in parts}
        self.expect("parts of the documentation", set(found.values()), {200})
        self.expect("Swagger UI among them", "api/swagger-ui-bundle.js" in found, True)
        self.expect("the server in the OpenAPI document", requests.get(f"{self.root}/api").json()["servers"], [{"url": self.root}])

    def strays(self):
        """Links of every kind of page that do not start with the address of the proxy."""
        own = [f"/collections/{fill.COLLECTION}", f"/collections/{fill.COLLECTION}/items?limit=1", "/children"]
        pages = [requests.get(self.root + path).json() for path in ["", "/collections", "/search?limit=1", *own]]
        documents = pages + [thing for page in pages for name in ("collections", "children", "features") for thing in page.get(name, [])]
        hrefs = [link["href"] for document in documents for link in document["links"]]
        return [href for href in hrefs if urlsplit(href).hostname == "127.0.0.1" and not href.startswith(self.root)]


def main(base):
    Proxy.upstream = base.rstrip("/")
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    story = Story(f"http://127.0.0.1:{proxy.server_port}{PREFIX}/stac")
    story.tell()
    for complaint in story.complaints:
        print(complaint)
    print(f"search_story: {story.checks} checks, {len(story.complaints)} complaints", file=sys.stderr)
    return 1 if story.complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
