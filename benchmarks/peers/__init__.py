"""The same work done by other libraries; run under an environment of its own, see requirements.txt."""
