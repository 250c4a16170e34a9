"""The incremental builder: files, digests, actions. It knows nothing of machine learning."""
