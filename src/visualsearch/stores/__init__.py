"""Where items and their vectors live: the back-ends, one row each."""

from visualsearch.plugins import Plugin

STORES = {
    "embedded": Plugin("visualsearch.stores.embedded:EmbeddedShelf"),
    "elasticsearch": Plugin("visualsearch.stores.elasticsearch:ElasticsearchShelf"),
    "milvus": Plugin("visualsearch.stores.milvus:MilvusShelf", needs="milvus"),
    "bruteforce": Plugin("visualsearch.stores.bruteforce:BruteForceShelf"),
}
