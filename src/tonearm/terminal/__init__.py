"""Live session in a terminal: keys turn knobs, and a sound card plays.

session ─► Player (both streams, A/B, fades) ─► output: sound card, file or none
   ▲  └──► TerminalClient ─► screen (rich)
   └──────────── keys
"""
