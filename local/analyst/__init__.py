"""The pixel analyst: an OpenAI-compatible endpoint that measures images rather than guesses."""
