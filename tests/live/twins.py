"""TEMPORARY"""
import copy
from concurrent.futures import Future
from tonearm.generation.stream import Chunk

class TwinStream:
    def __init__(self, a, b): self.a, self.b = a, b
    @property
    def lookahead(self): return self.a.lookahead
    def set(self, control):
        if control.vector is None: self.b.set(control)
        return self.a.set(control)
    def set_prompt(self, text):
        f = Future(); f.set_result(0); return f
    def stop(self): self.a.stop(); self.b.stop()
    def cancel(self): self.a.cancel(); self.b.cancel()
    @property
    def take(self): return self.a.take
    @property
    def plain_take(self): return self.b.take
    def __iter__(self):
        for x, y in zip(self.a, self.b, strict=True):
            c = copy.copy(x); object.__setattr__(c, "plain", y.samples); yield c

def with_twins(model):
    stream = type(model).stream
    def twin(prompt, steer=None, twin=False, **o):
        return TwinStream(stream(model, prompt, steer=steer, **o), stream(model, prompt, **o))
    model.stream = twin
    return model
