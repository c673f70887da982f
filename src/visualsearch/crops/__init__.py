"""Crops: picture → the parts of it that are described."""

from visualsearch.plugins import Options, Plugin, load

CROPS = {
    "whole": Plugin("visualsearch.crops.whole:Whole"),
    "mtcnn": Plugin("visualsearch.crops.mtcnn:Faces"),
}


def noun_of(options: Options) -> str:
    """Return what one crop is called, as its plug-in says in ``noun``; an item where it says nothing.

    >>> noun_of(Options(name="whole")), noun_of(Options(name="mtcnn"))
    ('picture', 'face')
    """
    return str(getattr(load(CROPS, options.name, "crop"), "noun", "item"))
