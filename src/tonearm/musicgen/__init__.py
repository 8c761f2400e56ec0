"""Everything that knows MusicGen: loading, conditioning, decoding, the codec. Nothing else does."""
