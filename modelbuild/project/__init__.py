"""A project at work: the manifest, its plan and the builder together."""
