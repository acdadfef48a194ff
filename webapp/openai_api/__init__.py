"""The /v1 face: OpenAI's API over the same analyses, files and batches as the native one."""
