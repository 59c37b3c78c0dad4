"""State modules, named by the same nouns as the execution modules."""
