"""Procedural pictures of everyday objects: shapes, materials, scenes and rendering."""
