"""Endpoint for HARP, the sample editor of TEAMuP, which DAWs open with the selected audio.

manifest ─► Panel (controls, checks of their values) ─► TakeGenerator (takes and labels) ─► server (Gradio)

HARP reads the controls as JSON, uploads the selection, and calls `process` with the values.
"""
