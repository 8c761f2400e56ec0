"""Exchange of steering vectors: with the Hugging Face hub, and with the files of other programs."""
