"""Reverse image search that classifies before it retrieves."""

from visualsearch.config import Application
from visualsearch.datatypes import Answer, Box, Hit, Probability, Query, Route, Step
from visualsearch.errors import (
    ConfigError,
    DataError,
    EngineError,
    PictureError,
    UsageError,
    VisualSearchError,
)
from visualsearch.pipeline import VisualSearch

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Application",
    "Box",
    "ConfigError",
    "DataError",
    "EngineError",
    "Hit",
    "PictureError",
    "Probability",
    "Query",
    "Route",
    "Step",
    "UsageError",
    "VisualSearch",
    "VisualSearchError",
]
