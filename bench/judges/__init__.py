"""Vendors' tools that judge what modelbuild makes; the tests use them, too."""
