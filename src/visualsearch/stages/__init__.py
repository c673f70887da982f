"""The stages of index, train, search and evaluate, between the pipeline and the plug-ins."""
