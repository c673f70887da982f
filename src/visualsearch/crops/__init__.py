"""Crops: picture → the parts of it that are described."""

from visualsearch.plugins import Plugin

CROPS = {
    "whole": Plugin("visualsearch.crops.whole:Whole"),
    "mtcnn": Plugin("visualsearch.crops.mtcnn:Faces"),
}
