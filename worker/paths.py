"""What the endpoint is asked at, below its address."""

CHAT, EMBEDDINGS = "/chat/completions", "/embeddings"
