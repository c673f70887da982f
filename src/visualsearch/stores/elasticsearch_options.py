"""What the YAML says of Elasticsearch: where it is, how it is asked, what the index is like."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, model_validator

from visualsearch import plugins
from visualsearch.stores.option_checks import a_file, address, from_the_environment

RESERVED = re.compile(r"-(v\d+(-[0-9a-f]{8})?|next|state)$")
"""How the names of a gallery's versions and aliases end."""


def _an_address(host: str) -> str:
    return address(host, "`user` and `password`", "scheme, name and port, such as https://search-1:9200")


def _an_index_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,150}", name) or RESERVED.search(name):
        what = (
            f"expected small letters, digits, '.', '_' and '-', not ending like -v1, -next or -state; received {name!r}"
        )
        raise ValueError(what)
    return name


def _a_fingerprint(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", text):
        raise ValueError(f"expected the SHA-256 of the certificate, 64 hexadecimal digits; received {text!r}")
    return text


def _a_key(value: str) -> str:
    """Refuse what no header can carry, such as a line break at the end, without showing it."""
    if not re.fullmatch(r"[\w+/=:.~-]+", value, re.ASCII):
        what = "expected an API key as its `encoded` has it: letters, digits and + / = _ -"
        raise ValueError(f"{what}; received other characters, such as a line break")
    return value


Secret = Annotated[str, AfterValidator(from_the_environment("ELASTICSEARCH_PASSWORD"))]


class ElasticsearchOptions(plugins.Options):
    """Elasticsearch 8.19 or later, or 9; items, failures and tombstones live in the cluster."""

    name: str = "elasticsearch"
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_an_address)], ...], Field(min_length=1)] = (
        "http://127.0.0.1:9200",
    )
    """Addresses of the nodes, with scheme and port; one that is away is passed over."""
    index: Annotated[str, AfterValidator(_an_index_name)] | None = None
    """The part of the indices' names behind `visualsearch-`. null: the model's name, with a hash where it has letters that
    are not ASCII."""
    type: Literal["flat", "hnsw", "int8_flat", "int8_hnsw"] = "flat"
    """How vectors are kept: `flat` compares all of a bucket and is exact; `hnsw` builds a graph for exhaustive searches
    of large indices and approximates them; `int8_…` needs a quarter of the memory. It holds from the next rebuild on."""
    num_candidates: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Of a type that approximates: how many candidates each shard looks at; more agree better and take longer."""
    shards: Annotated[int, Field(ge=1, le=1024)] = 1
    """Into how many parts an index is split; it holds from the next rebuild on."""
    replicas: Annotated[int, Field(ge=0, le=100)] | None = None
    """Copies of each shard. null: one as soon as there are two nodes. It holds from the next `index` on, in place of what
    somebody has set in the server."""
    loading_replicas: NonNegativeInt = 0
    """Copies while a rebuild or a copy fills an index that nobody searches yet."""
    refresh_s: PositiveFloat = 1.0
    """Seconds after which other processes see what was written; it holds from the next `index` on."""
    user: Secret | None = None
    """The user, from the environment: `${ELASTICSEARCH_USER}`."""
    password: Secret | None = None
    """The password, from the environment: `${ELASTICSEARCH_PASSWORD}`."""
    api_key: Annotated[Secret, AfterValidator(_a_key)] | None = None
    """An API key instead of both, from the environment: `${ELASTICSEARCH_API_KEY}`."""
    ca: Annotated[str, AfterValidator(a_file("file:http_ca.crt"))] | None = None
    """`file:PATH` of the authority that signed the servers' certificates, in PEM. null: those of the system."""
    fingerprint: Annotated[str, AfterValidator(_a_fingerprint)] | None = None
    """SHA-256 of the servers' certificate, or of the authority in its chain, instead of `ca`."""
    timeout_s: PositiveFloat = 30.0
    """Seconds within which one request must be answered."""
    patience_s: PositiveFloat = 60.0
    """Seconds to try again while nodes are busy or away, before it is an error."""
    bulk_mib: Annotated[int, Field(ge=1, le=90)] = 4
    """Size of one request that writes, in MiB."""
    in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests of one writer that are on their way at once."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("password: expected user and password together; received one of them")
        if self.api_key is not None and self.user is not None:
            raise ValueError("api_key: expected an API key, or user and password; received both")
        encrypted = all(host.startswith("https:") for host in self.hosts)
        if not encrypted and (self.ca or self.fingerprint):
            raise ValueError("hosts: expected https:// where a certificate is to be checked; received http://")
        if self.ca and self.fingerprint:
            raise ValueError("fingerprint: expected ca or fingerprint; received both")
        return self


def index_name(chosen: str | None, model: str) -> str:
    """Return what all names of a gallery in the cluster begin with.

    The server takes small ASCII letters. A hash tells models apart whose names have other letters.

    >>> index_name(None, "Shop photos")
    'visualsearch-shop-photos'
    >>> index_name(None, "Ж"), index_name(None, "Щ")
    ('visualsearch-gallery-dd591284', 'visualsearch-gallery-bbb369f2')
    """
    # a name may come composed or not, as the file system has it
    same = unicodedata.normalize("NFC", model.lower())
    name = chosen or re.sub(r"[^a-z0-9._-]+", "-", same)[:150].strip("-._") or "gallery"
    if chosen is None and not same.isascii():
        name += f"-{hashlib.sha256(same.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    return f"visualsearch-{name}" + ("-gallery" if RESERVED.search(name) else "")
