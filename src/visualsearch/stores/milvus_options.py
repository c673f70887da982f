"""What the YAML says of Milvus: a file or a server, what the index is like, how it is asked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from visualsearch import plugins
from visualsearch.stores.option_checks import a_file, address, from_the_environment

RESERVED = re.compile(r"_(v\d+(_[0-9a-f]{8})?|next|state)$")
"""How the names of a gallery's collections and aliases end."""

ENDING = ".db"


def _a_place(uri: str) -> str:
    if uri.startswith("file:"):
        if not uri.endswith(ENDING):
            raise ValueError(f"expected a name that ends in {ENDING}, such as file:milvus.db; received {uri!r}")
        return uri
    return address(uri, "`token`", "file:PATH, or an address such as http://milvus-1:19530")


def _a_collection_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,150}", name) or RESERVED.search(name):
        raise ValueError(f"expected letters, digits and '_', not ending like _v1, _next or _state; received {name!r}")
    return name


class MilvusOptions(plugins.Options):
    """Milvus: Milvus Lite in a file, or a server; needs `pip install 'visualsearch[milvus]'`."""

    name: str = "milvus"
    uri: Annotated[str, AfterValidator(_a_place)] | None = None
    """`file:PATH.db` of Milvus Lite, or a server's address, such as `http://127.0.0.1:19530`. null: a file in the
    model's folder."""
    token: Annotated[str, AfterValidator(from_the_environment("MILVUS_TOKEN"))] | None = None
    """What a server asks for, `user:password` or an API key, from the environment: `${MILVUS_TOKEN}`."""
    ca: Annotated[str, AfterValidator(a_file("file:milvus_ca.pem"))] | None = None
    """`file:PATH` of the authority that signed the server's certificate, in PEM. null: those of the system."""
    collection: Annotated[str, AfterValidator(_a_collection_name)] | None = None
    """The part of the collections' names behind `visualsearch_`. null: the model's name."""
    index: Literal["FLAT", "IVF_FLAT", "HNSW", "AUTOINDEX"] = "FLAT"
    """`FLAT` compares everything and is exact; the others approximate. It holds from the next rebuild on."""
    metric: Literal["l2", "cosine"] = "l2"
    """What Milvus computes: the distance of unit vectors or their cosine; a score is the cosine with both. It holds
    from the next rebuild on."""
    nlist: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Of `IVF_FLAT`: into how many lists vectors are sorted. It holds from the next rebuild on."""
    nprobe: Annotated[int, Field(ge=1, le=65_536)] = 16
    """Of `IVF_FLAT`: how many lists a search looks through; as many as `nlist` is exact."""
    m: Annotated[int, Field(ge=2, le=2_048)] = 16
    """Of `HNSW`: how many neighbours each vector is linked with (M). It holds from the next rebuild on."""
    ef_construction: Annotated[int, Field(ge=1, le=32_768)] = 200
    """Of `HNSW`: how many candidates are looked at for them. It holds from the next rebuild on."""
    ef: Annotated[int, Field(ge=1, le=32_768)] = 128
    """Of `HNSW`: how many candidates a search looks at; more agree better and take longer."""
    patience_s: PositiveFloat = 30.0
    """Seconds within which a server must have answered, tries while it is busy or away included."""
    counts_s: PositiveFloat = 60.0
    """Seconds for which the number of items of each bucket on a server is remembered: to count, all are read."""
    batch_mib: Annotated[int, Field(ge=1, le=32)] = 8
    """Size of one request that writes, in MiB."""

    @model_validator(mode="after")
    def _what_belongs_to_a_server(self) -> Self:
        if self.is_file and self.token:
            raise ValueError("token: expected an address of a server in uri, too; a file asks for no token")
        if self.ca and not (self.uri or "").startswith("https:"):
            raise ValueError("uri: expected https:// where a certificate is to be checked; received something else")
        if self.nprobe > self.nlist:
            raise ValueError(f"nprobe: expected at most nlist, {self.nlist}; received {self.nprobe}")
        return self

    @property
    def is_file(self) -> bool:
        """Return whether this is Milvus Lite."""
        return self.uri is None or self.uri.startswith("file:")

    @property
    def build(self) -> dict[str, Any]:
        """Return what the chosen index is built with, as Milvus calls it."""
        both = {"IVF_FLAT": {"nlist": self.nlist}, "HNSW": {"M": self.m, "efConstruction": self.ef_construction}}
        return both.get(self.index, {})


def base_name(chosen: str | None, model: str) -> str:
    """Return what all names of a gallery in Milvus begin with.

    >>> base_name(None, "Shop photos")
    'visualsearch_Shop_photos'
    """
    name = chosen or re.sub(r"[^A-Za-z0-9]+", "_", model)[:150].strip("_") or "gallery"
    return f"visualsearch_{name}" + ("_gallery" if RESERVED.search(name) else "")
