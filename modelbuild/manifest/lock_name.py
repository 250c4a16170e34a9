"""The name of the lock: by itself, for who asks only whether there is one."""

LOCK = "modelbuild.lock"
