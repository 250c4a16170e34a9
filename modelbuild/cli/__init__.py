"""The command line: one file a verb. A verb parses arguments, calls `modelbuild.api`, and prints."""
