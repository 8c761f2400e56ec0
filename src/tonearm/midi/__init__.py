"""MIDI control changes and MIDI Clock, as a client of a live session.

port (python-rtmidi) ─► MidiClient ─► controls of the session
                           └► ClockEstimator ─► tempo of the host
"""
